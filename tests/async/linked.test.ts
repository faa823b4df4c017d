import { expect, test } from "bun:test";
import { linked } from "../../src/async/linked.ts";

test("linked: fires with any of its signals, with that signal's reason", () => {
  const [first, second] = [new AbortController(), new AbortController()];
  using controller = linked(first.signal, undefined, second.signal);
  expect(controller.signal.aborted).toBe(false);
  second.abort("enough");
  expect([controller.signal.aborted, controller.signal.reason]).toEqual([true, "enough"]);
  expect(first.signal.aborted).toBe(false);
});

test("linked: has fired if one of its signals has", () => {
  using controller = linked(new AbortController().signal, AbortSignal.abort("before"));
  expect(controller.signal.reason).toBe("before");
});

test("linked: abort() fires it alone", () => {
  const source = new AbortController();
  using controller = linked(source.signal);
  controller.abort();
  expect([controller.signal.aborted, source.signal.aborted]).toEqual([true, false]);
});

test("linked: a disposed controller does not follow its signals", () => {
  const source = new AbortController();
  const controller = linked(source.signal);
  controller[Symbol.dispose]();
  source.abort();
  expect(controller.signal.aborted).toBe(false);
});

test("linked: leaves no listener on a signal that outlives it", () => {
  const source = new AbortController();
  let listeners = 0;
  const { signal } = source;
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
  signal.addEventListener = (...args: Parameters<typeof add>) => (listeners++, add(...args));
  signal.removeEventListener = (...args: Parameters<typeof remove>) => (listeners--, remove(...args));
  for (let i = 0; i < 100; i++) {
    using _ = linked(signal);
  }
  expect(listeners).toBe(0);
});
