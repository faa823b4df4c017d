import * as v from "valibot";

/** Bodies above this are refused with 413. */
export const MAX_BODY_BYTES = 16 * 1024 * 1024;

/** Becomes the answer `{"detail": ...}` with that status; thrown inside a transaction it undoes the transaction. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly status: number;
  readonly detail: unknown;
  constructor(status: number, detail: unknown) {
    super(typeof detail === "string" ? detail : `HTTP ${status}`);
    this.status = status;
    this.detail = detail;
  }
}

/** One request as a route sees it. `params` are the decoded parts of the path. */
export interface Call {
  readonly request: Request;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Lifts the server's idle time-out for this request: it will be answered late, or over a long time. */
  readonly keepOpen: () => void;
}

/** One invalid field, in FastAPI's shape. What was sent is not repeated: it may be a prompt. */
export function invalid(loc: readonly (string | number)[], msg: string, type = "value_error"): HttpError {
  return new HttpError(422, [{ type, loc, msg }]);
}

/** Reads and checks a JSON body. 413 above 16 MiB, 400 if it is not JSON, 422 with a list of faults if it does not fit. */
export async function readBody<S extends v.GenericSchema>(request: Request, schema: S): Promise<v.InferOutput<S>> {
  const text = await readText(request);
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new HttpError(400, "The body is not valid JSON");
  }
  const parsed = v.safeParse(schema, body);
  if (parsed.success) return parsed.output;
  throw new HttpError(422, parsed.issues.map(fault));
}

function fault(issue: v.BaseIssue<unknown>): unknown {
  const loc = ["body", ...(issue.path ?? []).map((item) => item.key)];
  if (issue.received === "undefined") return { type: "missing", loc, msg: "Field required" };
  // valibot's own words for a schema quote the input; those of our checks do not.
  const msg = issue.kind === "schema" ? `Expected ${issue.expected ?? "something else"}` : issue.message;
  return { type: issue.type, loc, msg };
}

async function readText(request: Request): Promise<string> {
  const announced = Number(request.headers.get("content-length") ?? 0);
  if (announced > MAX_BODY_BYTES) throw tooLarge();
  if (announced > 0) return request.text();
  // Chunked: nobody said how long it is.
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BODY_BYTES) throw tooLarge();
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function tooLarge(): HttpError {
  return new HttpError(413, `The body is larger than ${MAX_BODY_BYTES} bytes`);
}

/** `{"<key>": [...]}`, written page by page: with a million rows it neither fills memory nor holds up other requests. */
export function listResponse(key: string, pages: Iterator<readonly unknown[]>): Response {
  let first = true;
  const encoder = new TextEncoder();
  const stream = new ReadableStream<Uint8Array>(
    {
      start: (controller) => controller.enqueue(encoder.encode(`{${JSON.stringify(key)}:[`)),
      async pull(controller) {
        const page = pages.next();
        if (page.done) {
          controller.enqueue(encoder.encode("]}"));
          controller.close();
          return;
        }
        const text = page.value.map((row) => JSON.stringify(row)).join(",");
        controller.enqueue(encoder.encode(first ? text : `,${text}`));
        first = false;
        // Let the other requests in between two pages.
        await new Promise((resolve) => setImmediate(resolve));
      },
    },
    { highWaterMark: 1 },
  );
  return new Response(stream, { headers: { "content-type": "application/json" } });
}
