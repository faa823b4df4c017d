import * as v from "valibot";
import { clip, describeError, errorCode } from "../errors.ts";

/**
 * Why a call to the coordinator failed:
 * - `unreachable`: no answer (refused, reset, timed out, name not found). The request may have been carried out.
 * - `unavailable`: an answer that says nothing about the request: 5xx, 408, 429, or not the expected JSON.
 * - `unregistered`: 401 or 403. The coordinator has forgotten the runner, or refuses its credentials.
 * - `refused`: any other 4xx. The same request will be refused again.
 */
export type FailureKind = "unreachable" | "unavailable" | "unregistered" | "refused";

/** A failed call to the coordinator. `status` and `body` are set if there was an answer. */
export class CoordinatorFailure extends Error {
  override readonly name = "CoordinatorFailure";
  constructor(
    readonly kind: FailureKind,
    message: string,
    readonly status: number | null = null,
    /** The parsed body of the answer; undefined if it was not JSON. */
    readonly body: unknown = undefined,
    cause?: unknown,
  ) {
    super(clip(message, 500), cause === undefined ? undefined : { cause });
  }

  /** True if nothing listened on the port: the request was certainly not carried out. */
  get isConnectionRefused(): boolean {
    const code = errorCode(this.cause);
    return this.kind === "unreachable" && (code === "ECONNREFUSED" || code === "ConnectionRefused");
  }

  /**
   * Whether a retry can help. A lost answer looks like a lost request, so every request of the runner can be repeated
   * safely.
   */
  get isRetryable(): boolean {
    return this.kind === "unreachable" || this.kind === "unavailable";
  }
}

/** The failure for an answer with a status outside 2xx. `what` names the request, `body` is the answer's text. */
export function failureOfAnswer(what: string, status: number, body: string): CoordinatorFailure {
  const parsed = parseJson(body);
  const detail = detailOf(parsed) ?? (parsed === undefined ? "the answer is not JSON" : "no detail");
  return new CoordinatorFailure(kindOfStatus(status), `${what}: ${detail} (${status})`, status, parsed);
}

/** The failure for an error that fetch threw. */
export function failureOfThrown(what: string, error: unknown): CoordinatorFailure {
  if (error instanceof CoordinatorFailure) return error;
  return new CoordinatorFailure("unreachable", `${what}: ${reasonOf(error)}`, null, undefined, error);
}

function kindOfStatus(status: number): FailureKind {
  if (status === 401 || status === 403) return "unregistered";
  if (status >= 500 || status === 408 || status === 429 || status < 400) return "unavailable";
  return "refused";
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ConnectionRefused: "connection refused",
  ENOTFOUND: "host name not found",
  ECONNRESET: "connection lost",
  ConnectionClosed: "connection lost",
  ETIMEDOUT: "timed out",
};

function reasonOf(error: unknown): string {
  const code = errorCode(error);
  if (code !== undefined && REASONS[code] !== undefined) return REASONS[code];
  // ofetch wraps the error of fetch.
  return isTimeout(error) || (error instanceof Error && isTimeout(error.cause)) ? "timed out" : describeError(error);
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && (error.name === "TimeoutError" || error.name === "AbortError");
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

const ValidationErrors = v.array(
  v.looseObject({ loc: v.nullish(v.array(v.unknown()), []), msg: v.nullish(v.string(), "invalid") }),
);

/**
 * The message in an error body of FastAPI's shape: `{"detail": "..."}`, `{"detail": {"message": "..."}}` or a list of
 * validation errors.
 */
export function detailOf(body: unknown): string | undefined {
  if (typeof body !== "object" || body === null || !("detail" in body)) return undefined;
  const { detail } = body;
  if (typeof detail === "string") return detail;
  const errors = v.safeParse(ValidationErrors, detail);
  if (errors.success) return errors.output.map(({ loc, msg }) => `${loc.join(".")}: ${msg}`).join("; ");
  if (typeof detail === "object" && detail !== null) {
    if ("message" in detail && typeof detail.message === "string") return detail.message;
    if ("error" in detail && typeof detail.error === "string") return detail.error;
  }
  return JSON.stringify(detail)?.slice(0, 300);
}
