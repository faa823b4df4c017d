import * as v from "valibot";
import { RunId } from "./identifiers.ts";
import type { TreeShape } from "./session.ts";

const limit = v.pipe(v.number(), v.integer(), v.minValue(0));

/** Limits on the growth of a tree of sessions by its agents. 0: no limit. */
export const TreeLimits = v.object({
  /** Maximum depth below the root. */
  maxDepth: limit,
  /** Maximum number of children that one session starts, including deleted ones. */
  maxChildren: limit,
  /** Maximum number of runs in the whole tree, including ended and deleted ones. */
  maxTreeRuns: limit,
});
export type TreeLimits = Readonly<v.InferOutput<typeof TreeLimits>>;

/** What bounds a run that an agent creates. The gateway marks such a creation with it. */
export const CreationLimits = v.object({
  tree: TreeLimits,
  /** The agent's own run, which bounds the new one; null for an agent outside of all runs. */
  run: v.nullable(
    v.object({
      runId: RunId,
      /** Allowed even if the agent's own run has fewer attempts. */
      maxAttempts: limit,
      /** Whether the new run may go to runners that the agent's own run was not submitted to. */
      anywhere: v.boolean(),
    }),
  ),
});
export type CreationLimits = Readonly<v.InferOutput<typeof CreationLimits>>;

/** A header, because every coordinator ignores an unknown one. Its value is JSON. */
export const CREATION_LIMITS_HEADER = "x-creation-limits";

export const CreationLimitsText = v.pipe(v.string(), v.parseJson(), CreationLimits);

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
export function exceededLimit({ kind, sessionId }: Growth, limits: TreeLimits, shape: TreeShape): string | null {
  const { maxDepth, maxChildren, maxTreeRuns } = limits;
  const isStart = kind === "start_session";
  if (isStart && isOver(shape.depth + 1, maxDepth)) {
    return (
      `Session ${sessionId} is at level ${shape.depth} of its tree; child sessions may go down to level ${maxDepth}. ` +
      `Do the work in this session. ${howToRaise("--max-depth, RUNNER_MAX_DEPTH", "limits.max_depth")} (0: no limit).`
    );
  }
  if (isStart && isOver(shape.children + 1, maxChildren)) {
    return (
      `Session ${sessionId} has started ${shape.children} child sessions, deleted ones included; the limit is ` +
      `${maxChildren}. Resume one of them. ` +
      `${howToRaise("--max-children, RUNNER_MAX_CHILDREN", "limits.max_children")} (0: no limit).`
    );
  }
  if (isOver(shape.runs + 1, maxTreeRuns)) {
    return (
      `The tree of session ${sessionId} has had ${shape.runs} runs; the limit is ${maxTreeRuns}. Finish without ` +
      `starting more. ${howToRaise("--max-tree-runs, RUNNER_MAX_TREE_RUNS", "limits.max_tree_runs")} (0: no limit).`
    );
  }
  return null;
}

function isOver(count: number, most: number): boolean {
  return most > 0 && count > most;
}

/** `sources`: the flag and the variable of the setting. */
export function howToRaise(sources: string, file: string): string {
  return `The runner's user can raise this limit with ${sources} or ${file} in the settings file`;
}
