import * as v from "valibot";

/** What a token may do. `src/coordinator/routes/operations.ts` says which role may call which route. */
export const ROLES = ["runner", "submit", "read", "answer", "admin"] as const;
export const Role = v.picklist(ROLES, `must be one of ${ROLES.join(", ")}`);
export type Role = v.InferOutput<typeof Role>;

/** The token of the state folder, or of `AGENT_COORDINATOR_TOKEN`. No other token can have this name. */
export const ADMIN_NAME = "admin";

export const TokenName = v.pipe(
  v.string(),
  v.regex(/^[\w.@-]{1,64}$/, "must have 1 to 64 letters, digits or . _ @ -"),
  v.check((name) => name !== ADMIN_NAME, `${ADMIN_NAME} is the name of the coordinator's own token`),
);

const TEN_YEARS_SECONDS = 10 * 366 * 86_400;

/** The body of `POST /tokens`. */
export const CreateToken = v.object({
  name: TokenName,
  role: Role,
  /** Default: the token has no end. */
  expires_in_seconds: v.nullish(v.pipe(v.number(), v.minValue(1), v.maxValue(TEN_YEARS_SECONDS))),
});
export type CreateToken = v.InferOutput<typeof CreateToken>;

const textOrNull = v.nullable(v.string());
const tokenFields = {
  name: v.string(),
  role: Role,
  created_at: v.string(),
  /** The name of the token that created this one; null without a token. */
  created_by: textOrNull,
  expires_at: textOrNull,
};
/** A token as the coordinator lists it: never with its secret. */
export const TokenShown = v.object(tokenFields);
export type TokenShown = v.InferOutput<typeof TokenShown>;
export const TokensAnswer = v.object({ tokens: v.array(TokenShown) });
/** The answer to `POST /tokens`: the only one with the secret. */
export const CreatedTokenAnswer = v.object({ ...tokenFields, token: v.string() });
export type CreatedToken = v.InferOutput<typeof CreatedTokenAnswer>;
export const TokenRevokedAnswer = v.object({ ok: v.literal(true), name: v.string() });

/** The answer to `GET /caller`. `name` is null at a coordinator without a token. */
export const CallerAnswer = v.object({ name: textOrNull, role: Role });
export type CallerAnswer = v.InferOutput<typeof CallerAnswer>;

/** A change that a client made. */
export const AuditEntry = v.object({
  seq: v.number(),
  at: v.string(),
  /** The name of the token; null without a token. */
  token: textOrNull,
  role: Role,
  address: v.string(),
  /** The route, such as `POST /runs/:run_id/stop`. */
  action: v.string(),
  /** The id or name of what was changed; null if the route names nothing. */
  subject: textOrNull,
});
export type AuditEntry = v.InferOutput<typeof AuditEntry>;
export const AuditAnswer = v.object({ audit: v.array(AuditEntry), next_cursor: textOrNull });
