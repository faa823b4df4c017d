import { expect, test } from "bun:test";
import { Lifecycle, type LifecycleOptions } from "../../src/runner/lifecycle.ts";
import type { RunnerState } from "../../src/runner/runner-state.ts";
import { ActiveRun } from "../../src/runner/runs/active-run.ts";
import { Bell } from "../../src/runner/runs/bell.ts";
import { RunRegistry } from "../../src/runner/runs/run-registry.ts";
import { until } from "../harness/until.ts";
import { assignedRun } from "./assigned-run.ts";
import { recordedLog } from "./recorded-log.ts";

interface Setup {
  readonly lifecycle: Lifecycle;
  readonly run: ActiveRun;
  readonly states: RunnerState[];
  readonly lines: string[];
}

/** A lifecycle that has started, with one run. */
function started(options: Partial<LifecycleOptions> = {}): Setup {
  const { log, lines } = recordedLog();
  const registry = new RunRegistry(0, new Bell());
  const run = registry.add(assignedRun())?.run;
  if (run === undefined) throw new Error("the run was taken before");
  const states: RunnerState[] = [];
  const onState = (state: RunnerState): void => void states.push(state);
  const lifecycle = new Lifecycle({ registry, log, drainTimeoutMs: 0, maxOfflineMs: 5_000, onState, ...options });
  lifecycle.start();
  return { lifecycle, run, states, lines };
}

test("Lifecycle: reports each state that it enters", () => {
  const { lifecycle, states } = started();
  lifecycle.online();
  lifecycle.interrupt();
  lifecycle.left();
  expect(states).toEqual(["starting", "online", "draining", "left"]);
  expect(lifecycle.reason).toBe("interrupted");
});

test("Lifecycle.interrupt: the first drains, the second cancels the runs, the third does nothing", () => {
  const { lifecycle, run, lines } = started();
  lifecycle.online();
  lifecycle.interrupt();
  expect([lifecycle.state, lifecycle.draining.aborted, lifecycle.stopping.aborted]).toEqual(["draining", true, false]);
  expect(run.cancelReason).toBeNull();
  lifecycle.interrupt();
  expect([lifecycle.state, lifecycle.stopping.aborted]).toEqual(["stopping", true]);
  expect(run.cancelReason).toEqual({ kind: "shutdown" });
  lifecycle.interrupt();
  expect(lifecycle.state).toBe("stopping");
  expect(lines.filter((line) => line.startsWith("[INFO]"))).toEqual([
    "[INFO] test: Shutting down: waiting for 1 run(s); interrupt again to stop them",
    "[INFO] test: Stopping 1 run(s); interrupt again to exit at once",
  ]);
});

test("Lifecycle.interrupt: drains a runner that is still starting", () => {
  const { lifecycle } = started();
  lifecycle.interrupt();
  expect(lifecycle.state).toBe("draining");
});

test("Lifecycle: the drain time-out stops the runs", async () => {
  const { lifecycle, run, lines } = started({ drainTimeoutMs: 5 });
  lifecycle.interrupt();
  await until("stopping", () => lifecycle.state === "stopping");
  expect(run.cancelReason).toEqual({ kind: "shutdown" });
  expect(lines).toContainEqual(expect.stringContaining("waiting for 1 run(s), at most 5 ms"));
});

test("Lifecycle.deregistered: drains an online runner, and is no news to one that drains", () => {
  const { lifecycle } = started();
  lifecycle.online();
  lifecycle.deregistered();
  expect([lifecycle.state, lifecycle.reason]).toEqual(["draining", "deregistered"]);
  lifecycle.deregistered();
  expect(lifecycle.state).toBe("draining");
});

test.each<[string, (lifecycle: Lifecycle) => void]>([
  ["starting", () => {}],
  ["online", (lifecycle) => lifecycle.online()],
  ["draining", (lifecycle) => lifecycle.interrupt()],
])("Lifecycle.offlineTooLong: stops the runs of a runner that is %s", (_, before) => {
  const { lifecycle, run } = started();
  before(lifecycle);
  lifecycle.offlineTooLong();
  expect([lifecycle.state, lifecycle.reason]).toEqual(["stopping", "offline"]);
  expect(run.cancelReason).toEqual({ kind: "shutdown" });
});

test("Lifecycle: throws at a transition back", () => {
  const { lifecycle } = started();
  lifecycle.interrupt();
  expect(() => lifecycle.online()).toThrow("no transition from draining to online");
});
