import type { CoordinatorClient } from "../client/coordinator-client.ts";
import type { TreeShape } from "../protocol/session.ts";

/** How far a tree of sessions may grow by what its agents start; 0 is no limit. */
export interface TreeLimits {
  /** Levels below the root. */
  readonly maxDepth: number;
  /** Child sessions of one session. */
  readonly maxChildren: number;
  /** Runs of the whole tree, ended ones too. */
  readonly maxTreeRuns: number;
}

/** What is to be created: below or in `sessionId`. */
export interface Growth {
  readonly kind: "start_session" | "resume_session";
  /** The parent of a start, the session of a resume. */
  readonly sessionId: string;
}

/**
 * Which limit this would exceed, in words that tell an agent and its user what to do; null if none. Agents that start agents can run away;
 * these limits end that, whoever asks and by whatever way.
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
    const what = `Session ${sessionId} is at level ${shape.depth} of its tree, and child sessions may go down to level ${maxDepth}`;
    return `${what}: do the work in this session. ${howToRaise("max-depth", "RUNNER_MAX_DEPTH", "limits.max_depth")}`;
  }
  if (isStart && isOver(shape.children + 1, maxChildren)) {
    const what = `Session ${sessionId} has ${shape.children} child sessions, and may have ${maxChildren}`;
    return `${what}: resume one of them, or delete those that are done. ${howToRaise("max-children", "RUNNER_MAX_CHILDREN", "limits.max_children")}`;
  }
  if (isOver(shape.runs + 1, maxTreeRuns)) {
    const what = `The tree of session ${sessionId} has had ${shape.runs} runs, and may have ${maxTreeRuns}`;
    return `${what}: finish without starting more. ${howToRaise("max-tree-runs", "RUNNER_MAX_TREE_RUNS", "limits.max_tree_runs")}`;
  }
  return null;
}

function isOver(wanted: number, limit: number): boolean {
  return limit > 0 && wanted > limit;
}

function howToRaise(flag: string, env: string, file: string): string {
  return `The runner's user can raise this limit with --${flag}, ${env} or ${file} in the settings file (0: no limit).`;
}

/** What our coordinator counts itself, another one's lists tell too. */
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
