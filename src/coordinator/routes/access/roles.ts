import type { Role } from "../../../protocol/access/tokens.ts";
import type { Caller } from "../../store/caller.ts";
import { Refusal } from "../../store/refusal.ts";
import { OPERATIONS } from "../operations.ts";

/** The roles that may call a route; null: everybody, also without a token. A route without a description is admin's. */
export function rolesOf(route: string): readonly Role[] | null {
  const roles = OPERATIONS[route]?.roles ?? [];
  return roles === "everybody" ? null : [...roles, "admin"];
}

/** Refuses, forbidden: the token's role may not call this route. */
export function requireRole({ name, role }: Caller, route: string): void {
  const roles = rolesOf(route);
  if (roles === null || roles.includes(role)) return;
  const needed = roles.length === 1 ? `the role ${roles[0]}` : `one of the roles ${roles.join(", ")}`;
  throw new Refusal("forbidden", `This needs ${needed}; the token ${name} has the role ${role}`);
}

/** Whether a successful call of the route is in the audit list. */
export function isRecorded(route: string): boolean {
  return !route.startsWith("GET ") && OPERATIONS[route]?.isRoutine !== true;
}
