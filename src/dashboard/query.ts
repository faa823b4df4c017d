import { useEffect, useState } from "preact/hooks";
import * as v from "valibot";
import { type Api, ApiError } from "./api.ts";
import type { Change, Live } from "./live.ts";

/** Every view gets these. */
export interface Services {
  readonly api: Api;
  readonly live: Live;
}

export interface Answer<T> {
  /** Null until the first read succeeds. A failed read keeps the last value. */
  readonly value: T | null;
  readonly fault: string | null;
  /** The HTTP status of the failed read; 0 if the coordinator is unreachable. Null without a fault. */
  readonly faultStatus: number | null;
}

/**
 * The pause between two reads of a path: at least 500 ms, and four times the duration of the last read. A slow
 * coordinator gets fewer reads.
 */
const MIN_PAUSE_MS = 500;
const PAUSE_FACTOR = 4;

export interface QueryOptions {
  /** Whether a change affects the value; by default every change does. */
  readonly isAffectedBy?: (change: Change) => boolean;
  /** Also reads at this interval, for values that change without an event. */
  readonly everyMs?: number;
}

/** Reads a path, and again after each change that affects it. At most one read at a time. A null path reads nothing. */
export function useQuery<S extends v.GenericSchema>(
  { api, live }: Services,
  path: string | null,
  schema: S,
  { isAffectedBy, everyMs }: QueryOptions = {},
): Answer<v.InferOutput<S>> {
  const [answer, setAnswer] = useState<Answer<v.InferOutput<S>> & { readonly path: string | null }>({
    ...NONE,
    path: null,
  });
  useEffect(() => {
    if (path === null) return;
    const end = new AbortController();
    let isReading = false;
    let isStale = false;
    const read = async (): Promise<void> => {
      if (isReading) {
        isStale = true;
        return;
      }
      isReading = true;
      const startMs = performance.now();
      try {
        const value = v.parse(schema, await api.read(path, end.signal));
        if (!end.signal.aborted) setAnswer({ value, fault: null, faultStatus: null, path });
      } catch (error) {
        if (!end.signal.aborted)
          setAnswer((last) => ({
            value: last.path === path ? last.value : null,
            fault: messageFor(error),
            faultStatus: error instanceof ApiError ? error.status : null,
            path,
          }));
      }
      setTimeout(
        () => {
          isReading = false;
          if (!isStale || end.signal.aborted) return;
          isStale = false;
          void read();
        },
        Math.max(MIN_PAUSE_MS, PAUSE_FACTOR * (performance.now() - startMs)),
      );
    };
    void read();
    const unsubscribe = live.subscribe((change) => {
      if (change === null || isAffectedBy === undefined || isAffectedBy(change)) void read();
    });
    const timer = everyMs === undefined ? undefined : setInterval(() => void read(), everyMs);
    return () => {
      unsubscribe();
      clearInterval(timer);
      end.abort();
    };
    // The options belong to the path and change only with it.
  }, [api, live, path]);
  // The answer may still be that of the previous path.
  return answer.path === path ? answer : NONE;
}

const NONE = { value: null, fault: null, faultStatus: null } as const;

/** The text that the page shows for an error. */
export function messageFor(error: unknown): string {
  if (v.isValiError(error)) return "The coordinator's response has an unexpected format. Reload the page";
  return error instanceof Error ? error.message : String(error);
}

/** The current time, updated at this interval. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
