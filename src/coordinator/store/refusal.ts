/** Why the coordinator refuses a request. */
export type RefusalKind =
  /** The text of the input cannot be read. */
  | "malformed"
  /** A field or parameter has an invalid value. */
  | "invalid"
  | "too-large"
  /** The token is missing or wrong. */
  | "unauthorized"
  /** The runner is not registered. A runner registers again after this. */
  | "unregistered"
  | "forbidden"
  /** Too many wrong tokens. */
  | "throttled"
  /** The named thing does not exist. */
  | "unknown"
  /** The request conflicts with what is stored. */
  | "conflict"
  /** The run or session has no status in which the request makes sense. */
  | "wrong-state"
  /** The thing existed and was deleted. */
  | "gone"
  /** The runner cannot do it. */
  | "unsupported"
  /** The disk is full. */
  | "no-room"
  /** Temporary. */
  | "unavailable";

/** A request that the coordinator does not carry out. Thrown inside a transaction, it rolls the transaction back. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly kind: RefusalKind;
  /** For the client: a text, or the JSON value that the protocol defines. */
  readonly detail: unknown;

  constructor(kind: RefusalKind, detail: unknown) {
    super(typeof detail === "string" ? detail : kind);
    this.kind = kind;
    this.detail = detail;
  }
}

/** Refuses one field, in FastAPI's shape. The detail never repeats the input, which may be a prompt. */
export function invalid(loc: readonly (string | number)[], msg: string, type = "value_error"): Refusal {
  return new Refusal("invalid", [{ type, loc, msg }]);
}
