import type { CoordinatorClient } from "../client/coordinator-client.ts";
import { failureOfThrown } from "../client/failure.ts";

/** Headers that belong to one connection (RFC 9110, section 7.6.1), and those that this side sets anew. */
const NOT_FORWARDED = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "host",
  "authorization",
  "content-length",
  "accept-encoding",
  "cookie",
]);

export interface ForwardRequest {
  readonly method: string;
  /** Path and query at the coordinator. */
  readonly path: string;
  readonly headers: Headers;
  readonly body: ReadableStream<Uint8Array> | string | null;
  /** Fires when the caller has gone; the coordinator's side is dropped with it. */
  readonly signal: AbortSignal | null;
}

/** Sends a request on with the runner's credentials; the answer's body streams. An unreachable coordinator is a 502 with a `detail`. */
export async function forward(coordinator: CoordinatorClient, request: ForwardRequest): Promise<Response> {
  try {
    const headers = forwardable(request.headers);
    // The body is passed on as it is or parsed here: not compressed in either case.
    headers.set("accept-encoding", "identity");
    const authorization = await coordinator.authorization.header();
    if (authorization !== null) headers.set("authorization", authorization);
    const response = await fetch(coordinator.baseUrl + request.path, {
      method: request.method,
      headers,
      ...(request.body === null ? {} : { body: request.body }),
      ...(request.signal === null ? {} : { signal: request.signal }),
      redirect: "manual",
    });
    if (response.status === 401 || response.status === 403) coordinator.authorization.refused();
    const answered = forwardable(response.headers);
    // A coordinator that compresses all the same: fetch has undone that.
    answered.delete("content-encoding");
    return new Response(response.body, { status: response.status, headers: answered });
  } catch (error) {
    return answerOfFailure(error);
  }
}

/** The whole answer to a write. It counts as acknowledged only if a coordinator has said so: a web page with status 200, or half an answer, is a 502. */
export async function acknowledgement(response: Response): Promise<Response> {
  try {
    const text = await response.text();
    if (response.ok && text !== "") JSON.parse(text);
    return new Response(text === "" ? null : text, { status: response.status, headers: response.headers });
  } catch (error) {
    return answerOfFailure(error);
  }
}

/** What an executor is told when the gateway's own call to the coordinator failed. */
export function answerOfFailure(error: unknown): Response {
  const failure = failureOfThrown("coordinator", error);
  if (failure.kind === "refused" && failure.status !== null) return detail(failure.status, failure.message);
  return detail(502, `Failed to connect to Agent Coordinator: ${failure.message}`);
}

export function detail(status: number, text: string): Response {
  return Response.json({ detail: text }, { status });
}

function forwardable(headers: Headers): Headers {
  const named = (headers.get("connection") ?? "").split(",").map((name) => name.trim().toLowerCase());
  const kept = new Headers();
  headers.forEach((value, name) => {
    if (!NOT_FORWARDED.has(name) && !named.includes(name)) kept.append(name, value);
  });
  return kept;
}
