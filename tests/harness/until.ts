/** Waits until `look` gives something true and returns it; looks every 10 ms, and fails after `deadlineMs`, saying what it waited for. */
export async function until<T>(
  what: string | (() => string),
  look: () => T | Promise<T>,
  deadlineMs = 20_000,
): Promise<NonNullable<T>> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (performance.now() > end)
      throw new Error(`waited ${deadlineMs} ms in vain: ${typeof what === "string" ? what : what()}`);
    await Bun.sleep(10);
  }
}
