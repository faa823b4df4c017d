/** Resolves after `ms`, or at once when `signal` fires. Never rejects; the caller checks the signal. */
export function delay(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(0, ms));
    signal?.addEventListener("abort", done, { once: true });
  });
}

/** Settles like `promise`, or resolves to `"timeout"` after `ms`. Does not cancel the promise's work. */
export function withDeadline<T>(promise: Promise<T>, ms: number): Promise<T | "timeout"> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve("timeout"), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
