import * as v from "valibot";
import { parseJson as parseBounded } from "../protocol/json.ts";
import { proxyOf } from "../config/proxy.ts";
import { shownUrl } from "../protocol/shown-url.ts";
import { UNTRUSTED_HOST } from "../protocol/loopback.ts";
import { clip, describeError, errorCode } from "../errors.ts";

/**
 * Why a call to the coordinator failed:
 * - `unreachable`: no answer (refused, reset, timed out, name not found). The request may have been carried out.
 * - `untrusted`: the certificate of the coordinator is not trusted, expired, or for another name.
 * - `moved`: a redirect (3xx). It is never followed: a request may carry prompts and credentials.
 * - `unavailable`: an answer that says nothing about the request: 5xx, 408, 429, or not the expected JSON.
 * - `unregistered`: 401 or 403. The coordinator has forgotten the runner, or refuses its credentials.
 * - `refused`: any other 4xx. The same request will be refused again.
 */
export type FailureKind = "unreachable" | "untrusted" | "moved" | "unavailable" | "unregistered" | "refused";

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
    return this.kind !== "unregistered" && this.kind !== "refused";
  }
}

/** Where a redirect leads: the answer's `Location`, and the request that it answers. */
export interface Redirect {
  readonly location: string | null;
  readonly baseUrl: string;
  readonly path: string;
}

/** The failure for an answer with a status outside 2xx. `what` names the request, `body` is the answer's text. */
export function failureOfAnswer(what: string, status: number, body: string, redirect?: Redirect): CoordinatorFailure {
  if (isRedirect(status)) {
    const to = redirect === undefined ? null : newBase(redirect);
    const where =
      to === null ? `to another address (${status})` : `to ${to} (${status}): set --coordinator-url to that`;
    return new CoordinatorFailure("moved", `${what}: the service has moved ${where}`, status);
  }
  const parsed = parseJson(body);
  // The coordinator always answers with JSON. A proxy's own page may be HTML.
  const noJson = `the answer is not JSON${through(redirect?.baseUrl)}`;
  const detail = detailOf(parsed) ?? (parsed === undefined ? noJson : "no detail");
  return new CoordinatorFailure(kindOfStatus(status), `${what}: ${detail} (${status})`, status, parsed);
}

/** 304 answers a conditional request, and leads nowhere. */
export function isRedirect(status: number): boolean {
  return status >= 300 && status < 400 && status !== 304;
}

/** The address of the service after a redirect: its target without the path of the request. */
function newBase({ location, baseUrl, path }: Redirect): string | null {
  if (location === null || !URL.canParse(location, `${baseUrl}${path}`)) return null;
  const target = shownUrl(new URL(location, `${baseUrl}${path}`).href);
  const [requested = ""] = path.split("?", 1);
  return target.endsWith(requested) ? target.slice(0, target.length - requested.length) : target;
}

/** The failure for an error that fetch threw. `url`: the URL of the request. */
export function failureOfThrown(what: string, error: unknown, url?: string): CoordinatorFailure {
  if (error instanceof CoordinatorFailure) return error;
  const fault = CERTIFICATE_FAULTS[errorCode(error) ?? ""];
  if (fault !== undefined) return new CoordinatorFailure("untrusted", `${what}: ${fault}`, null, undefined, error);
  return new CoordinatorFailure("unreachable", `${what}: ${reasonOf(error)}${through(url)}`, null, undefined, error);
}

/** Names the proxy of a request, for a message about an answer that may be the proxy's own. Empty without a proxy. */
export function through(url: string | undefined): string {
  const proxy = url === undefined ? null : proxyOf(url);
  return proxy === null ? "" : ` (through the proxy ${shownUrl(proxy.url)} of ${proxy.variable})`;
}

function kindOfStatus(status: number): FailureKind {
  if (status === 401 || status === 403) return "unregistered";
  if (status >= 500 || status === 408 || status === 429 || status < 400) return "unavailable";
  return "refused";
}

/** What to do about a 403; empty if only its text can say. `url`: as the user names the coordinator. */
export function forbiddenHint({ message }: CoordinatorFailure, url: string): { hint?: string } {
  if (!message.includes(UNTRUSTED_HOST)) return {};
  const { hostname } = new URL(url);
  return { hint: `Name it by its address, such as 127.0.0.1, or start it with: --allowed-hosts ${hostname}` };
}

const UNKNOWN_ISSUER = "the certificate is signed by an authority that this machine does not trust";
const SELF_SIGNED = "the certificate is self-signed";
const OTHER_NAME = "the certificate is for another host name";
const EXPIRED = "the certificate has expired";
const NOT_YET = "the certificate is not valid yet";

/** What to do about a failure of the kind `untrusted`. */
export function certificateHint({ message }: CoordinatorFailure): string {
  const is = (...faults: string[]): boolean => faults.some((fault) => message.endsWith(fault));
  if (is(UNKNOWN_ISSUER, SELF_SIGNED))
    return "Set NODE_EXTRA_CA_CERTS to a file with the certificate of the authority (PEM), and start the program again";
  if (is(OTHER_NAME)) return "Set --coordinator-url to a host name of the certificate";
  if (is(EXPIRED, NOT_YET)) return "Renew the certificate, or set the clock of this machine";
  return "Give the coordinator another certificate";
}

/** By the error codes of OpenSSL and of Node's TLS. */
const CERTIFICATE_FAULTS: Readonly<Record<string, string>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_ISSUER,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_ISSUER,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_ISSUER,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_ISSUER,
  CERT_UNTRUSTED: UNKNOWN_ISSUER,
  CERT_SIGNATURE_FAILURE: UNKNOWN_ISSUER,
  DEPTH_ZERO_SELF_SIGNED_CERT: SELF_SIGNED,
  CERT_HAS_EXPIRED: EXPIRED,
  CERT_NOT_YET_VALID: NOT_YET,
  CERT_REVOKED: "the certificate is revoked",
  CERT_REJECTED: "the certificate is rejected",
  INVALID_PURPOSE: "the certificate is not one of a server",
  INVALID_CA: "the certificate is signed by one that is no authority",
  CERT_CHAIN_TOO_LONG: "the chain of certificates is too long",
  PATH_LENGTH_EXCEEDED: "the chain of certificates is too long",
  HOSTNAME_MISMATCH: OTHER_NAME,
  ERR_TLS_CERT_ALTNAME_INVALID: OTHER_NAME,
};

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
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  // The message of ofetch names the whole URL, which may hold a token.
  return isTimeout(error) || isTimeout(inner) ? "timed out" : describeError(inner);
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && (error.name === "TimeoutError" || error.name === "AbortError");
}

export function parseJson(text: string): unknown {
  try {
    return parseBounded(text);
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
