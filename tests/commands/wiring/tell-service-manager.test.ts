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
    fault: null,
    runs: [],
    ...more,
  };
  return { status: () => status };
}

test("tellServiceManager: ready before the coordinator answers, stopping from the drain on", () => {
  const sent: string[] = [];
  using manager = tellServiceManager(
    { NOTIFY_SOCKET: "/s" },
    (path, message) => sent.push(`${path} ${message.split("\n")[0]}`) > 0,
  );
  for (const state of ["starting", "online", "draining", "stopping", "left"] as const) manager.onState(state);
  expect(sent).toEqual(["/s READY=1", "/s READY=1", "/s STOPPING=1", "/s STOPPING=1", "/s STOPPING=1"]);
});

test("tellServiceManager: pings while calls end", async () => {
  const sent: string[] = [];
  using manager = tellServiceManager(
    { NOTIFY_SOCKET: "/s", WATCHDOG_USEC: "20000" },
    (_, message) => sent.push(message) > 0,
  );
  manager.watch({ status: () => runner({ lastCallAtMs: performance.now() }).status() });
  await until("three pings", () => sent.length >= 3);
  expect(new Set(sent)).toEqual(new Set(["WATCHDOG=1"]));
});

test.each([
  ["without a service manager", {}],
  ["without a watchdog", { NOTIFY_SOCKET: "/s" }],
  ["with a watchdog for another process", { NOTIFY_SOCKET: "/s", WATCHDOG_USEC: "1000", WATCHDOG_PID: "1" }],
  ["with a malformed watchdog limit", { NOTIFY_SOCKET: "/s", WATCHDOG_USEC: "soon" }],
])("tellServiceManager: does not ping %s", (_, env) => {
  jest.useFakeTimers();
  let sent = 0;
  using manager = tellServiceManager(env, () => ++sent > 0);
  manager.watch(runner());
  jest.advanceTimersByTime(60_000);
  expect(sent).toBe(0);
});

test.each([
  ["a call has just ended", 0, 1000, true],
  ["no call has ended within the limit", 5_000, 1000, false],
  ["heartbeats are further apart than the limit", 5_000, HOUR_MS, true],
])("isAtWork: %s", (_, agoMs, heartbeatIntervalMs, expected) => {
  expect(isAtWork({ lastCallAtMs: performance.now() - agoMs, heartbeatIntervalMs }, 0, 3_000)).toBe(expected);
});

test("isAtWork: the program's start counts before the first call", () => {
  expect(isAtWork({ lastCallAtMs: null, heartbeatIntervalMs: 0 }, performance.now(), 1000)).toBe(true);
  expect(isAtWork({ lastCallAtMs: null, heartbeatIntervalMs: 0 }, performance.now() - 2000, 1000)).toBe(false);
});
