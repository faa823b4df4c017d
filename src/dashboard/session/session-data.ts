import { useRef } from "preact/hooks";
import type * as v from "valibot";
import { OneSessionAnswer, RunsAnswer, TreeAnswer } from "../../protocol/answers.ts";
import type { ShownRun } from "../actions/retry.ts";
import type { News } from "../live.ts";
import { type Services, useQuery } from "../query.ts";

export type ShownSession = v.InferOutput<typeof OneSessionAnswer>["session"];
export type TreeSession = v.InferOutput<typeof TreeAnswer>["sessions"][number];

export interface SessionData {
  readonly session: ShownSession | null;
  /** Newest first. */
  readonly runs: readonly ShownRun[];
  readonly hasMoreRuns: boolean;
  /** The session and all below it, parents first. */
  readonly tree: readonly TreeSession[];
  readonly fault: string | null;
}

const RUNS = 20;
const RUNS_EVERY_MS = 5_000;

/** A session with its runs and what is below it, read again when something has happened that changes them. */
export function useSessionData(services: Services, sessionId: string): SessionData {
  const id = encodeURIComponent(sessionId);
  // What an agent says changes none of it; what it has used comes as a change of its session.
  const isAboutIt = (news: NonNullable<News>): boolean => news.sessionId === sessionId && news.type !== "event";
  const inTree = useRef<ReadonlySet<string>>(new Set());
  const isAboutTree = (news: NonNullable<News>): boolean =>
    news.type !== "event" &&
    (inTree.current.has(news.sessionId) || (news.parentId !== null && inTree.current.has(news.parentId)));
  const one = useQuery(services, `/sessions/${id}`, OneSessionAnswer, { concerns: isAboutIt });
  // That one was claimed, or that its time has come, nobody is told.
  const runs = useQuery(services, `/runs?session=${id}&limit=${RUNS}`, RunsAnswer, {
    concerns: isAboutIt,
    everyMs: RUNS_EVERY_MS,
  });
  const tree = useQuery(services, `/trees/${id}`, TreeAnswer, { concerns: isAboutTree });
  const sessions = tree.value?.sessions ?? [];
  inTree.current = new Set([sessionId, ...sessions.map((session) => session.session_id)]);
  return {
    session: one.value?.session ?? null,
    runs: runs.value?.runs ?? [],
    hasMoreRuns: runs.value?.next_cursor != null,
    tree: sessions,
    fault: one.fault ?? runs.fault ?? tree.fault,
  };
}
