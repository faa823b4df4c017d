import type { CoordinatorClient } from "../client/coordinator-client.ts";
import { tlsOf } from "../client/credentials.ts";
import { failureOfAnswer, failureOfThrown, isRedirect } from "../client/failure.ts";

/** Headers of a single connection (RFC 9110, section 7.6.1), and headers that the gateway sets itself. */
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
  /** Fires when the caller disconnects; ends the request to the coordinator. */
  readonly signal: AbortSignal | null;
}

/** Forwards a request with the runner's credentials and streams the answer. 502: the coordinator is unreachable. */
export async function forward(coordinator: CoordinatorClient, request: ForwardRequest): Promise<Response> {
  try {
    const headers = forwardable(request.headers);
    // The gateway passes bodies on unchanged or parses them; both need an uncompressed body.
    headers.set("accept-encoding", "identity");
    const authorization = await coordinator.authorization.header();
    if (authorization !== null) headers.set("authorization", authorization);
    const response = await fetch(coordinator.baseUrl + request.path, {
      method: request.method,
      headers,
      ...(request.body === null ? {} : { body: request.body }),
      ...(request.signal === null ? {} : { signal: request.signal }),
      redirect: "manual",
      ...tlsOf(coordinator.authorization),
    });
    // An executor's client would follow the redirect, with its prompt.
    if (isRedirect(response.status)) {
      await response.body?.cancel();
      const location = response.headers.get("location");
      const redirect = { location, baseUrl: coordinator.baseUrl, path: request.path };
      return answerOfFailure(failureOfAnswer("coordinator", response.status, "", redirect));
    }
    if (response.status === 401 || response.status === 403) coordinator.authorization.refused();
    const answerHeaders = forwardable(response.headers);
    // If the coordinator compresses all the same, fetch has decompressed the body already.
    answerHeaders.delete("content-encoding");
    return new Response(response.body, { status: response.status, headers: answerHeaders });
  } catch (error) {
    return answerOfFailure(error);
  }
}

/**
 * Reads the whole answer to a write. Only JSON from a coordinator acknowledges a write: a web page with status 200 (a
 * proxy's login page), or half an answer, is a 502.
 */
export async function acknowledgement(response: Response): Promise<Response> {
  try {
    const text = await response.text();
    if (response.ok && text !== "") JSON.parse(text);
    return new Response(text === "" ? null : text, { status: response.status, headers: response.headers });
  } catch (error) {
    return answerOfFailure(error);
  }
}

/** The answer to an executor when the gateway's own call to the coordinator fails. */
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
