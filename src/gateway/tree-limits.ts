import type { CoordinatorClient } from "../client/coordinator-client.ts";
import { exceededLimit, type Growth, type TreeLimits } from "../protocol/creation-limits.ts";
import type { TreeShape } from "../protocol/session.ts";

/**
 * The message about the limit that this run would exceed; null if none. The built-in coordinator checks the same again
 * in the transaction that creates the run: only there no other creation comes between.
 */
export async function foreseenLimit(
  growth: Growth,
  limits: TreeLimits,
  coordinator: CoordinatorClient,
): Promise<string | null> {
  const { maxDepth, maxChildren, maxTreeRuns } = limits;
  const isStart = growth.kind === "start_session";
  if (maxTreeRuns === 0 && (!isStart || (maxDepth === 0 && maxChildren === 0))) return null;
  const { sessionId } = growth;
  const shape = (await coordinator.tree(sessionId)) ?? (await shapeFromLists(sessionId, coordinator));
  return exceededLimit(growth, limits, shape);
}

/** Computes the shape from lists, for coordinators without `GET /sessions/{id}/tree`. */
async function shapeFromLists(sessionId: string, coordinator: CoordinatorClient): Promise<TreeShape> {
  const [sessions, runs] = await Promise.all([coordinator.sessions(), coordinator.runs()]);
  const parents = new Map(sessions.map(({ session_id, parent_session_id }) => [session_id, parent_session_id]));
  const rootOf = (id: string): { root: string; depth: number } => {
    const seen = new Set([id]);
    for (let at = id; ;) {
      const parent = parents.get(at) ?? null;
      if (parent === null || !parents.has(parent) || seen.has(parent)) return { root: at, depth: seen.size - 1 };
      seen.add(parent);
      at = parent;
    }
  };
  const { root, depth } = rootOf(sessionId);
  const members = new Set([...parents.keys()].filter((id) => rootOf(id).root === root));
  return {
    depth,
    children: sessions.filter(({ parent_session_id }) => parent_session_id === sessionId).length,
    runs: runs.filter(({ session_id }) => members.has(session_id)).length,
  };
}
