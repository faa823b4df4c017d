/**
 * Calls `check` every 10 ms until its result is truthy, and returns the result. Fails after `deadlineMs`, and then
 * names `what`.
 */
export async function until<T>(
  what: string | (() => string),
  check: () => T | Promise<T>,
  deadlineMs = 20_000,
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
