import { afterEach, expect, jest, test } from "bun:test";
import { isAtWork, tellServiceManager } from "../../../src/commands/wiring/tell-service-manager.ts";
import type { RunnerStatus } from "../../../src/runner/runner-status.ts";
import { until } from "../../harness/until.ts";

const HOUR_MS = 3_600_000;

afterEach(() => void jest.useRealTimers());

function runner(more: Partial<RunnerStatus> = {}): { status(): RunnerStatus } {
  const status: RunnerStatus = {
    state: "online",
    runnerId: "lnch_1",
    isCoordinatorUp: true,
    lastAnswerAtMs: null,
    lastCallAtMs: performance.now(),
    heartbeatIntervalMs: 10,
    hasRoom: true,
    runs: [],
    ...more,
  };
  return { status: () => status };
}

test("tellServiceManager: says that it is ready as soon as it is the only one of its identity, and what it is at", () => {
  const said: string[] = [];
  using manager = tellServiceManager(
    { NOTIFY_SOCKET: "/s" },
    (path, message) => said.push(`${path} ${message.split("\n")[0]}`) > 0,
  );
  for (const state of ["starting", "online", "draining", "stopping", "left"] as const) manager.onState(state);
  expect(said).toEqual(["/s READY=1", "/s READY=1", "/s STOPPING=1", "/s STOPPING=1", "/s STOPPING=1"]);
});

test("tellServiceManager: says that it is at work while calls come to an end", async () => {
  const said: string[] = [];
  using manager = tellServiceManager(
    { NOTIFY_SOCKET: "/s", WATCHDOG_USEC: "20000" },
    (_, message) => said.push(message) > 0,
  );
  manager.watch({ status: () => runner({ lastCallAtMs: performance.now() }).status() });
  await until("three pings", () => said.length >= 3);
  expect(new Set(said)).toEqual(new Set(["WATCHDOG=1"]));
});

test.each([
  ["without a service manager", {}],
  ["without a watchdog", { NOTIFY_SOCKET: "/s" }],
  ["with a watchdog for another process", { NOTIFY_SOCKET: "/s", WATCHDOG_USEC: "1000", WATCHDOG_PID: "1" }],
  ["with a watchdog that makes no sense", { NOTIFY_SOCKET: "/s", WATCHDOG_USEC: "soon" }],
])("tellServiceManager: does not ping %s", (_, env) => {
  jest.useFakeTimers();
  let said = 0;
  using manager = tellServiceManager(env, () => ++said > 0);
  manager.watch(runner());
  jest.advanceTimersByTime(60_000);
  expect(said).toBe(0);
});

test.each([
  ["a call came to an end just now", 0, 1000, true],
  ["none has for longer than the limit", 5_000, 1000, false],
  ["heartbeats are further apart than the limit", 5_000, HOUR_MS, true],
])("isAtWork: %s", (_, agoMs, heartbeatIntervalMs, expected) => {
  expect(isAtWork({ lastCallAtMs: performance.now() - agoMs, heartbeatIntervalMs }, 0, 3_000)).toBe(expected);
});

test("isAtWork: before the first call the program's start counts", () => {
  expect(isAtWork({ lastCallAtMs: null, heartbeatIntervalMs: 0 }, performance.now(), 1000)).toBe(true);
  expect(isAtWork({ lastCallAtMs: null, heartbeatIntervalMs: 0 }, performance.now() - 2000, 1000)).toBe(false);
});
