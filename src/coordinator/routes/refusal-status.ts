import type { Refusal, RefusalKind } from "../store/refusal.ts";

/** The only place that turns a refusal into a status. 400 for `wrong-state` is the answer of the first generation. */
const STATUS: Readonly<Record<RefusalKind, number>> = {
  malformed: 400,
  "wrong-state": 400,
  unauthorized: 401,
  unregistered: 401,
  forbidden: 403,
  unknown: 404,
  conflict: 409,
  gone: 410,
  "too-large": 413,
  invalid: 422,
  throttled: 429,
  unsupported: 501,
  unavailable: 503,
  "no-room": 507,
};

const HEADERS: Readonly<Partial<Record<RefusalKind, Readonly<Record<string, string>>>>> = {
  unauthorized: { "www-authenticate": "Bearer" },
  unregistered: { "www-authenticate": "Bearer" },
  unavailable: { "retry-after": "1" },
};

/** `{"detail": ...}` with the status of the refusal. */
export function refusalResponse({ kind, detail }: Refusal): Response {
  const status = STATUS[kind];
  return Response.json({ detail }, { status, headers: HEADERS[kind] ?? {} });
}
