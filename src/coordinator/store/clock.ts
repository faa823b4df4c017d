/**
 * Milliseconds since the epoch on a clock that nobody sets while the process lives: for waits. A wall clock that is set
 * back by a day would delay a retry by a day; one that is set forward would end every lease.
 */
export function steadyMs(): number {
  return performance.timeOrigin + performance.now();
}

/** `ms` milliseconds from now on the steady clock, in the stored format: for a deadline that is a duration from now. */
export function steadyTime(ms = 0): string {
  return new Date(steadyMs() + ms).toISOString();
}

/** When the steady clock shows what the wall clock will show at `wallMs`. */
export function steadyOf(wallMs: number): number {
  return wallMs - Date.now() + steadyMs();
}

/** The wall clock's time in `ms` milliseconds from now, in the stored format. */
export function isoTime(ms = 0): string {
  return new Date(Date.now() + ms).toISOString();
}
