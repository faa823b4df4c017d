import * as v from "valibot";
import { RunStatus } from "../../protocol/run.ts";
import { invalid } from "../store/refusal.ts";
import type { ListQuery } from "../store/lists.ts";

const ACTIVE: ReadonlySet<string> = new Set(["claimed", "running", "stopping"]);

/** The filter from `status` (comma-separated), `session` or `session_id`, and `runner_id`. 422 for a bad status. */
export function runListQuery(query: URLSearchParams): ListQuery {
  const statuses = statusesOf(query);
  const sessionId = query.get("session") ?? query.get("session_id");
  const runnerId = query.get("runner_id");
  const where: (readonly [string, ...string[]])[] = [];
  if (sessionId !== null) where.push(["session_id = ?", sessionId]);
  if (runnerId !== null) where.push(["runner_id = ?", runnerId]);
  if (sessionId === null && runnerId === null) {
    return statuses === null
      ? { table: "runs", where }
      : { table: "runs", index: "runs_by_status", where, anyOf: { column: "status", values: statuses } };
  }
  // The runs of one session or runner are few: SQLite filters their statuses row by row.
  if (statuses !== null) where.push([`status IN (${statuses.map(() => "?").join(",")})`, ...statuses]);
  if (sessionId !== null) return { table: "runs", index: "runs_by_session", where };
  // Every runner asks for its active runs at every start: a partial index skips its ended runs.
  const isActive = statuses?.every((status) => ACTIVE.has(status)) === true;
  if (isActive) where.push(["status IN ('claimed','running','stopping')"]);
  return { table: "runs", index: isActive ? "runs_active_by_runner" : "runs_by_runner", where };
}

function statusesOf(query: URLSearchParams): readonly RunStatus[] | null {
  const status = query.get("status");
  if (status === null) return null;
  const parsed = v.safeParse(v.array(RunStatus), status.split(","));
  if (!parsed.success) throw invalid(["query", "status"], `Expected ${RunStatus.options.join(", ")}`);
  return [...new Set(parsed.output)];
}
