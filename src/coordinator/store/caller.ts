import type { Role } from "../../protocol/access/tokens.ts";

/** Who sent a request. */
export interface Caller {
  /** The name of the token; null at a coordinator without a token. */
  readonly name: string | null;
  readonly role: Role;
  /** The IP address. */
  readonly address: string;
  /** Whether its token has ended since the request was let in; missing for the coordinator's own token. */
  readonly hasEnded?: () => boolean;
}
