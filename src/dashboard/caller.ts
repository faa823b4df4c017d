import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { CallerAnswer, Role } from "../protocol/access/tokens.ts";

/** Whose token the page has; null until the coordinator has said it. */
export const CallerContext = createContext<CallerAnswer | null>(null);

/** Why the token of the page may not do something that needs one of `roles`; null if it may. */
export function refusalFor(caller: CallerAnswer | null, roles: readonly Role[]): string | null {
  if (caller === null || caller.role === "admin" || roles.includes(caller.role)) return null;
  return `Your token ${caller.name ?? ""} has the role ${caller.role}; this needs ${[...roles, "admin"].join(" or ")}`;
}

/** Starting, resuming and stopping runs. */
export function useRunRefusal(): string | null {
  return refusalFor(useContext(CallerContext), ["submit"]);
}

export function useAdminRefusal(): string | null {
  return refusalFor(useContext(CallerContext), []);
}
