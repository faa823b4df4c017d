import { useEffect, useState } from "preact/hooks";
import * as v from "valibot";
import type { Api } from "./api.ts";
import type { Live, News } from "./live.ts";

/** What every part of the page is given. */
export interface Services {
  readonly api: Api;
  readonly live: Live;
}

export interface Answer<T> {
  /** Null until the first has come; the last one where a later one could not be had. */
  readonly value: T | null;
  readonly fault: string | null;
}

/** Two reads of the same are this far apart at least, and four times as far as the last one took: a coordinator that is slow is not made slower. */
const BETWEEN_READS_MS = 500;
const SHARE = 4;

export interface QueryOptions {
  /** What news is about it: all by default. That some news was missed concerns everything. */
  readonly concerns?: (news: NonNullable<News>) => boolean;
  /** Read again so often as well, for what changes without news. */
  readonly everyMs?: number;
}

/**
 * Reads a path, and reads it again when something has happened that may have changed it. However much happens, there is one read at a time.
 * A path of null reads nothing.
 */
export function useQuery<S extends v.GenericSchema>(
  { api, live }: Services,
  path: string | null,
  schema: S,
  { concerns, everyMs }: QueryOptions = {},
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
      const begunMs = performance.now();
      try {
        const value = v.parse(schema, await api.read(path, end.signal));
        if (!end.signal.aborted) setAnswer({ value, fault: null, path });
      } catch (error) {
        if (!end.signal.aborted)
          setAnswer((last) => ({ value: last.path === path ? last.value : null, fault: wordsFor(error), path }));
      }
      setTimeout(
        () => {
          isReading = false;
          if (!isStale || end.signal.aborted) return;
          isStale = false;
          void read();
        },
        Math.max(BETWEEN_READS_MS, SHARE * (performance.now() - begunMs)),
      );
    };
    void read();
    const leave = live.onNews((news) => {
      if (news === null || concerns === undefined || concerns(news)) void read();
    });
    const timer = everyMs === undefined ? undefined : setInterval(() => void read(), everyMs);
    return () => {
      leave();
      clearInterval(timer);
      end.abort();
    };
    // What concerns it goes with the path.
  }, [api, live, path]);
  // An answer to another path is none to this one.
  return answer.path === path ? answer : NONE;
}

const NONE = { value: null, fault: null } as const;

export function wordsFor(error: unknown): string {
  if (v.isValiError(error)) return "the coordinator's answer makes no sense to this page";
  return error instanceof Error ? error.message : String(error);
}

/** The time now, again every so often; for what is told as "so long ago". */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
