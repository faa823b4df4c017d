/** Only a deadline, so that a slow machine fails no test. No wait may have a shorter one: `tests/form.test.ts`. */
export const WAIT_MS = 60_000;

/**
 * The upper bound for what happens at once, on a busy machine. Choose the case so that the alternative takes longer,
 * or never ends.
 */
export const AT_ONCE_MS = 20_000;

/**
 * Calls `check` every 10 ms until its result is truthy, and returns the result. Fails after `deadlineMs`, and then
 * names `what`. `check` must ask for a state that lasts: a state that passes can be missed.
 */
export async function until<T>(
  what: string | (() => string),
  check: () => T | Promise<T>,
  deadlineMs = WAIT_MS,
): Promise<NonNullable<T>> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const result = await check();
    if (result) return result;
    if (performance.now() > end)
      throw new Error(`timed out after ${deadlineMs} ms waiting for: ${typeof what === "string" ? what : what()}`);
    await Bun.sleep(10);
  }
}
