import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import * as v from "valibot";
import { delay } from "../../async/delay.ts";
import { OneSessionAnswer, RunAnswer, SessionShown } from "../../protocol/answers.ts";

export type ShownRun = v.InferOutput<typeof RunAnswer>;
export type ShownSession = v.InferOutput<typeof SessionShown>;

/** GET of a path of the coordinator's; rejects with words for the reader. */
export type Read = (path: string, signal: AbortSignal) => Promise<unknown>;
/** Calls back for whatever happens to one session, and where something may have been missed; gives back how to end that. */
export type OnNews = (sessionId: string, listener: () => void) => () => void;

export interface SessionData {
  readonly session: ShownSession | null;
  /** Newest first. */
  readonly runs: readonly ShownRun[];
  readonly hasMoreRuns: boolean;
  readonly children: readonly ShownSession[];
  readonly hasMoreChildren: boolean;
  readonly fault: string | null;
}

const Runs = v.object({ runs: v.array(RunAnswer), next_cursor: v.nullish(v.string(), null) });
const Children = v.object({ sessions: v.array(SessionShown), next_cursor: v.nullish(v.string(), null) });
const RUNS = 20;
const CHILDREN = 50;
const BETWEEN_READS_MS = 500;
const NOTHING: SessionData = { session: null, runs: [], hasMoreRuns: false, children: [], hasMoreChildren: false, fault: null };

/** A session with its runs and children, read again when something happens to it, twice a second at most; and `refresh`, to do so now. */
export function useSessionData(sessionId: string, read: Read, onNews: OnNews): { data: SessionData; refresh: () => void } {
  const [data, setData] = useState(NOTHING);
  const ring = useRef<() => void>(() => {});
  useEffect(() => {
    const end = new AbortController();
    setData(NOTHING);
    ring.current = repeater(end.signal, async () => {
      const loaded = await load(sessionId, read, end.signal).catch((error: unknown) => String(error instanceof Error ? error.message : error));
      if (end.signal.aborted) return;
      setData((before) => (typeof loaded === "string" ? { ...before, fault: loaded } : loaded));
    });
    ring.current();
    const leave = onNews(sessionId, () => ring.current());
    return () => {
      leave();
      end.abort();
    };
  }, [sessionId, read, onNews]);
  const refresh = useCallback(() => ring.current(), []);
  return { data, refresh };
}

/** Does `step` when it is called: at once, or when its last time is long enough ago. */
function repeater(signal: AbortSignal, step: () => Promise<void>): () => void {
  let isWanted = false;
  let isBusy = false;
  const work = async (): Promise<void> => {
    isBusy = true;
    while (isWanted && !signal.aborted) {
      isWanted = false;
      await step();
      await delay(BETWEEN_READS_MS, signal);
    }
    isBusy = false;
  };
  return () => {
    isWanted = true;
    if (!isBusy) void work();
  };
}

async function load(sessionId: string, read: Read, signal: AbortSignal): Promise<SessionData> {
  const id = encodeURIComponent(sessionId);
  const [one, runs, children] = await Promise.all([
    read(`/sessions/${id}`, signal),
    read(`/runs?session=${id}&limit=${RUNS}`, signal),
    read(`/sessions?parent=${id}&limit=${CHILDREN}`, signal),
  ]);
  const runList = v.parse(Runs, runs);
  const childList = v.parse(Children, children);
  return {
    session: v.parse(OneSessionAnswer, one).session,
    runs: runList.runs,
    hasMoreRuns: runList.next_cursor !== null,
    children: childList.sessions,
    hasMoreChildren: childList.next_cursor !== null,
    fault: null,
  };
}
