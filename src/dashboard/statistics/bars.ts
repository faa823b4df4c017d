export const OUTCOMES = ["completed", "stopped", "failed"] as const;

export interface Bar {
  /** ISO 8601: the start of the hour or day. */
  readonly from: string;
  readonly isDay: boolean;
  readonly completed: number;
  readonly failed: number;
  readonly stopped: number;
  readonly total: number;
}

interface Hour {
  readonly hour: string;
  readonly completed: number;
  readonly failed: number;
  readonly stopped: number;
}

const HOUR_MS = 3_600_000;
/** Longer periods get one bar per day. */
const MAX_HOUR_BARS = 96;

/** One bar per hour or day since `since`. Hours without an entry in `counts` become empty bars. */
export function barsOf(counts: readonly Hour[], since: string, hours: number): Bar[] {
  const isDay = hours > MAX_HOUR_BARS;
  const widthMs = isDay ? 24 * HOUR_MS : HOUR_MS;
  const firstMs = Math.floor(Date.parse(since) / widthMs) * widthMs;
  const count = isDay ? Math.ceil(hours / 24) + 1 : hours + 1;
  const bars = Array.from({ length: count }, (_, i) => ({
    from: new Date(firstMs + i * widthMs).toISOString(),
    isDay,
    completed: 0,
    failed: 0,
    stopped: 0,
    total: 0,
  }));
  for (const { hour, completed, failed, stopped } of counts) {
    const bar = bars[Math.floor((Date.parse(hour) - firstMs) / widthMs)];
    if (bar === undefined) continue;
    bar.completed += completed;
    bar.failed += failed;
    bar.stopped += stopped;
    bar.total += completed + failed + stopped;
  }
  return bars;
}
