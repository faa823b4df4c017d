import * as v from "valibot";
import { parseJson, TooDeep } from "../../protocol/json.ts";
import { MAX_BODY_BYTES } from "../../protocol/run.ts";
import type { Caller } from "../store/caller.ts";
import { Refusal } from "../store/refusal.ts";

/** One request to a route. `params` are the decoded parts of the path. */
export interface Call<Param extends string = never> {
  readonly request: Request;
  readonly params: Readonly<Record<Param, string>>;
  readonly query: URLSearchParams;
  readonly caller: Caller;
  /** Names what was changed, for the audit list. Without it, the list has the last parameter of the path. */
  readonly about: (subject: string) => void;
  /** Lifts the server's idle time-out for this request: for long polls and streams. */
  readonly keepOpen: () => void;
}

/**
 * Reads and checks a JSON body. Throws 413 above 50 MiB, 400 for invalid JSON, 422 for deep nesting and with the faults
 * of the value.
 */
export async function readBody<S extends v.GenericSchema>(request: Request, schema: S): Promise<v.InferOutput<S>> {
  const text = await readWhole(request);
  let body: unknown;
  try {
    body = parseJson(text);
  } catch (error) {
    if (error instanceof TooDeep) throw new Refusal("invalid", `The body ${error.message}`);
    throw new Refusal("malformed", "The body is not valid JSON");
  }
  const parsed = v.safeParse(schema, body);
  if (parsed.success) return parsed.output;
  throw new Refusal("invalid", parsed.issues.map(fault));
}

function fault(issue: v.BaseIssue<unknown>): unknown {
  const loc = ["body", ...(issue.path ?? []).map((item) => item.key)];
  if (issue.received === "undefined") return { type: "missing", loc, msg: "Field required" };
  // valibot's messages for schemas quote the input; the messages of our own checks do not.
  const msg = issue.kind === "schema" ? `Expected ${issue.expected ?? "something else"}` : issue.message;
  return { type: issue.type, loc, msg };
}

/** A client that leaves in the middle is no fault of this program. */
async function readWhole(request: Request): Promise<string> {
  try {
    return await readText(request);
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal("malformed", "The body ended early");
  }
}

async function readText(request: Request): Promise<string> {
  const contentLength = Number(request.headers.get("content-length") ?? 0);
  if (contentLength > MAX_BODY_BYTES) throw tooLarge();
  if (contentLength > 0) return request.text();
  // A chunked body has no Content-Length: count while reading.
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

function tooLarge(): Refusal {
  return new Refusal("too-large", `The body is larger than ${MAX_BODY_BYTES} bytes`);
}

/** Streams `{"<key>": [...]}` page by page: a list of a million rows neither fills memory nor blocks other requests. */
export function listResponse(
  key: string,
  pages: AsyncIterator<readonly unknown[], undefined>,
  /** Waits until what a page shows survives a power cut: it may be younger than the head of the answer. */
  durable: () => Promise<void>,
  onFault: (error: unknown) => void,
): Response {
  let first = true;
  const encoder = new TextEncoder();
  /**
   * The head of the answer is gone: a fault of the database can only cut it off, so that no reader takes it for whole.
   */
  const nextPage = async (
    controller: ReadableStreamDefaultController,
  ): Promise<IteratorResult<readonly unknown[], undefined> | null> => {
    try {
      const page = await pages.next();
      await durable();
      return page;
    } catch (error) {
      onFault(error);
      controller.error(error);
      return null;
    }
  };
  const stream = new ReadableStream<Uint8Array>(
    {
      start: (controller) => controller.enqueue(encoder.encode(`{${JSON.stringify(key)}:[`)),
      async pull(controller) {
        const page = await nextPage(controller);
        if (page === null) return;
        if (page.done) {
          controller.enqueue(encoder.encode("]}"));
          controller.close();
          return;
        }
        const text = page.value.map((row) => JSON.stringify(row)).join(",");
        controller.enqueue(encoder.encode(first ? text : `,${text}`));
        first = false;
        // Yield to other requests between two pages.
        await new Promise((resolve) => setImmediate(resolve));
      },
    },
    { highWaterMark: 1 },
  );
  return new Response(stream, { headers: { "content-type": "application/json" } });
}
