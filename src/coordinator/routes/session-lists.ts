import type { ListQuery } from "../store/lists.ts";

/** The filter from `status` (comma-separated), `agent`, `parent` and `top=true`. */
export function sessionListQuery(query: URLSearchParams, isTop: boolean): ListQuery {
  const status = query.get("status");
  const parent = query.get("parent");
  const agent = query.get("agent");
  const statuses = status === null ? null : [...new Set(status.split(","))];
  const where: (readonly [string, ...string[]])[] = [];
  if (agent !== null) where.push(["agent_name = ?", agent]);
  if (parent !== null) where.push(["parent_session_id = ?", parent]);
  if (isTop) where.push(["parent_session_id IS NULL"]);
  if (statuses !== null && parent !== null)
    where.push([`status IN (${statuses.map(() => "?").join(",")})`, ...statuses]);
  if (parent !== null) return { table: "sessions", index: "sessions_by_parent", where };
  if (statuses === null) return { table: "sessions", where, ...(isTop ? { index: "sessions_at_top" } : {}) };
  // Scans sessions with a parent too: a separate index would slow down every change of a session.
  return { table: "sessions", index: "sessions_by_status", where, anyOf: { column: "status", values: statuses } };
}
