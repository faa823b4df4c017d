import { useRef } from "preact/hooks";
import type * as v from "valibot";
import { OneSessionAnswer, RunnersAnswer, RunsAnswer, TreeAnswer } from "../../protocol/answers.ts";
import type { ShownRun } from "../actions/retry.ts";
import type { Change } from "../live.ts";
import { type Services, useQuery } from "../query.ts";

export type ShownSession = v.InferOutput<typeof OneSessionAnswer>["session"];
export type TreeSession = v.InferOutput<typeof TreeAnswer>["sessions"][number];

export type ShownRunner = v.InferOutput<typeof RunnersAnswer>["runners"][number];

export interface SessionData {
  readonly session: ShownSession | null;
  /** Newest first. */
  readonly runs: readonly ShownRun[];
  readonly hasMoreRuns: boolean;
  /** Read while a run of the session is with a runner. */
  readonly runners: readonly ShownRunner[];
  /** The session and its descendants, parents first. */
  readonly tree: readonly TreeSession[];
  readonly fault: string | null;
}

const RUNS = 20;
const RUNS_EVERY_MS = 5_000;
/** A runner is responsible for the run. */
export const WITH_RUNNER: ReadonlySet<string> = new Set(["claimed", "running", "stopping"]);

/** A session with its runs and its tree, kept up to date. */
export function useSessionData(services: Services, sessionId: string): SessionData {
  const id = encodeURIComponent(sessionId);
  // An agent's event changes none of these. Usage arrives as a change of the session.
  const affectsSession = (change: Change): boolean => change.sessionId === sessionId && change.type !== "event";
  const inTree = useRef<ReadonlySet<string>>(new Set());
  const affectsTree = (change: Change): boolean =>
    change.type !== "event" &&
    (inTree.current.has(change.sessionId) || (change.parentId !== null && inTree.current.has(change.parentId)));
  const one = useQuery(services, `/sessions/${id}`, OneSessionAnswer, { isAffectedBy: affectsSession });
  // No event tells that a run was claimed, or that its scheduled time has come.
  const runs = useQuery(services, `/runs?session=${id}&limit=${RUNS}`, RunsAnswer, {
    isAffectedBy: affectsSession,
    everyMs: RUNS_EVERY_MS,
  });
  const isWithRunner = runs.value?.runs.some(({ status }) => WITH_RUNNER.has(status)) ?? false;
  const runners = useQuery(services, isWithRunner ? "/runners" : null, RunnersAnswer, {
    isAffectedBy: () => false,
    everyMs: RUNS_EVERY_MS,
  });
  const tree = useQuery(services, `/trees/${id}`, TreeAnswer, { isAffectedBy: affectsTree });
  const sessions = tree.value?.sessions ?? [];
  inTree.current = new Set([sessionId, ...sessions.map((session) => session.session_id)]);
  return {
    session: one.value?.session ?? null,
    runs: runs.value?.runs ?? [],
    runners: runners.value?.runners ?? [],
    hasMoreRuns: runs.value?.next_cursor != null,
    tree: sessions,
    fault: one.fault ?? runs.fault ?? tree.fault,
  };
}
