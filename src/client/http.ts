import { type FetchResponse, ofetch } from "ofetch";
import * as v from "valibot";
import { linked } from "../async/linked.ts";
import { type Authorization, tlsOf } from "./credentials.ts";
import { CoordinatorFailure, failureOfAnswer, failureOfThrown, parseJson, through } from "./failure.ts";

export interface Call<S extends v.GenericSchema> {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Path and query, with a leading slash. */
  readonly path: string;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
  /** The schema of the answer. */
  readonly answer: S;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

const TIMEOUT_MS = 30_000;

/**
 * Calls the coordinator once, without a retry. The time limit covers the body. Every failure is a CoordinatorFailure.
 */
export async function callCoordinator<S extends v.GenericSchema>(
  baseUrl: string,
  authorization: Authorization,
  call: Call<S>,
): Promise<v.InferOutput<S>> {
  const what = `${call.method} ${call.path.split("?", 1)[0]}`;
  using abort = linked(call.signal);
  const timer = setTimeout(
    () => abort.abort(new DOMException("timed out", "TimeoutError")),
    call.timeoutMs ?? TIMEOUT_MS,
  );
  try {
    abort.signal.throwIfAborted();
    const response = await send(baseUrl, authorization, call, abort.signal);
    if (!response.ok) {
      if (response.status === 401 || response.status === 403) authorization.refused();
      throw failureOfAnswer(what, response.status, response._data ?? "", {
        location: response.headers.get("location"),
        baseUrl,
        path: call.path,
      });
    }
    return parseAnswer(what, call.answer, response.status, response._data ?? "", baseUrl);
  } catch (error) {
    throw failureOfThrown(what, error, baseUrl);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Sends the request. Sends it again if it was refused without a header and there is one now: the coordinator of a found
 * token can start between the search for its token and the request.
 */
async function send(
  baseUrl: string,
  authorization: Authorization,
  call: Call<v.GenericSchema>,
  signal: AbortSignal,
): Promise<FetchResponse<string>> {
  const sendWith = (header: string | null): Promise<FetchResponse<string>> =>
    ofetch.raw<string, "text">(`${authorization.baseUrl ?? baseUrl}${call.path}`, {
      method: call.method,
      headers: { ...call.headers, ...(header === null ? {} : { authorization: header }) },
      ...(call.body === undefined ? {} : { body: call.body }),
      signal,
      redirect: "manual",
      ...tlsOf(authorization),
      retry: false,
      ignoreResponseError: true,
      responseType: "text",
    });
  const header = await authorization.header();
  const response = await sendWith(header);
  if (response.status !== 401 || header !== null) return response;
  const found = await authorization.header();
  return found === null ? response : sendWith(found);
}

/**
 * Parses the answer of any 2xx status: the generations differ in the status that they send. An unexpected body is
 * `unavailable`.
 */
function parseAnswer<S extends v.GenericSchema>(
  what: string,
  schema: S,
  status: number,
  text: string,
  baseUrl: string,
): v.InferOutput<S> {
  const json = text === "" ? {} : parseJson(text);
  const parsed = v.safeParse(schema, json);
  if (parsed.success) return parsed.output;
  const issue =
    json === undefined
      ? `not JSON${through(baseUrl)}`
      : `${v.getDotPath(parsed.issues[0]) ?? ""} ${parsed.issues[0].message}`.trim();
  throw new CoordinatorFailure("unavailable", `${what}: invalid answer (${issue})`, status, json);
}
