import type { CoordinatorClient } from "../client/coordinator-client.ts";
import type { TreeShape } from "../protocol/session.ts";

/** Limits on the growth of a tree of sessions by its agents. 0: no limit. */
export interface TreeLimits {
  /** Maximum depth below the root. */
  readonly maxDepth: number;
  /** Maximum number of children of one session. */
  readonly maxChildren: number;
  /** Maximum number of runs in the whole tree, including ended runs. */
  readonly maxTreeRuns: number;
}

/** A run to be created. */
export interface Growth {
  readonly kind: "start_session" | "resume_session";
  /** The parent of a start, the session of a resume. */
  readonly sessionId: string;
}

/**
 * The message about the limit that this run would exceed, with advice for the agent and its user; null if none. The
 * limits stop agents that keep starting agents.
 */
export async function exceededLimit(
  { kind, sessionId }: Growth,
  limits: TreeLimits,
  coordinator: CoordinatorClient,
): Promise<string | null> {
  const { maxDepth, maxChildren, maxTreeRuns } = limits;
  const isStart = kind === "start_session";
  if (maxTreeRuns === 0 && (!isStart || (maxDepth === 0 && maxChildren === 0))) return null;
  const shape = (await coordinator.tree(sessionId)) ?? (await shapeFromLists(sessionId, coordinator));
  if (isStart && isOver(shape.depth + 1, maxDepth)) {
    return (
      `Session ${sessionId} is at level ${shape.depth} of its tree; child sessions may go down to level ${maxDepth}. ` +
      `Do the work in this session. ${howToRaise("max-depth", "RUNNER_MAX_DEPTH", "limits.max_depth")}`
    );
  }
  if (isStart && isOver(shape.children + 1, maxChildren)) {
    return (
      `Session ${sessionId} has ${shape.children} child sessions; the limit is ${maxChildren}. ` +
      "Resume one of them, or delete finished ones. " +
      howToRaise("max-children", "RUNNER_MAX_CHILDREN", "limits.max_children")
    );
  }
  if (isOver(shape.runs + 1, maxTreeRuns)) {
    return (
      `The tree of session ${sessionId} has had ${shape.runs} runs; the limit is ${maxTreeRuns}. Finish without ` +
      `starting more. ${howToRaise("max-tree-runs", "RUNNER_MAX_TREE_RUNS", "limits.max_tree_runs")}`
    );
  }
  return null;
}

function isOver(count: number, limit: number): boolean {
  return limit > 0 && count > limit;
}

function howToRaise(flag: string, env: string, file: string): string {
  return `The runner's user can raise this limit with --${flag}, ${env} or ${file} in the settings file (0: no limit).`;
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
