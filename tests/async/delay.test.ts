import { expect, test } from "bun:test";
import { aborted } from "../../src/async/aborted.ts";
import { delay, withDeadline } from "../../src/async/delay.ts";

const NEVER_MS = 60_000;

/** Counts the `abort` listeners of a signal as they are added and removed. */
function countingSignal(controller: AbortController): { signal: AbortSignal; listeners: () => number } {
  const { signal } = controller;
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => (listeners++, add(...args));
  signal.removeEventListener = (...args: Parameters<typeof remove>) => (listeners--, remove(...args));
  return { signal, listeners: () => listeners };
}

test("delay: waits for the given time", async () => {
  const startedMs = performance.now();
  await delay(30);
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(29);
});

test("delay: does not wait for a negative time", async () => {
  await delay(-5);
});

test("delay: ends at once when the signal fires, and does not reject", async () => {
  const controller = new AbortController();
  const waiting = delay(NEVER_MS, controller.signal);
  controller.abort();
  await waiting;
});

test("delay: does not wait under a signal that has fired", async () => {
  await delay(NEVER_MS, AbortSignal.abort());
});

test("delay: leaves no listener on a signal that outlives it", async () => {
  const { signal, listeners } = countingSignal(new AbortController());
  for (let i = 0; i < 20; i++) await delay(0, signal);
  expect(listeners()).toBe(0);
});

test("withDeadline: resolves to the promise's value", async () => {
  expect(await withDeadline(Promise.resolve(7), NEVER_MS)).toBe(7);
  await expect(withDeadline(Promise.reject(new Error("no")), NEVER_MS)).rejects.toThrow("no");
});

test("withDeadline: resolves to timeout when the promise takes too long", async () => {
  expect(await withDeadline(new Promise(() => {}), 5)).toBe("timeout");
});

test("withDeadline: a promise that rejects after the deadline causes no unhandled rejection", async () => {
  const late = Promise.withResolvers<never>();
  expect(await withDeadline(late.promise, 1)).toBe("timeout");
  let unhandled = 0;
  const count = (): void => void unhandled++;
  process.on("unhandledRejection", count);
  late.reject(new Error("late"));
  await new Promise((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", count);
  expect(unhandled).toBe(0);
});

test("aborted: resolves when the signal fires, at once if it has fired", async () => {
  await aborted(AbortSignal.abort());
  const controller = new AbortController();
  const waiting = aborted(controller.signal);
  controller.abort();
  await waiting;
});
