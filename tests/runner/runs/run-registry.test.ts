import { expect, test } from "bun:test";
import { Bell } from "../../../src/runner/runs/bell.ts";
import { RunRegistry, type TakenRun } from "../../../src/runner/runs/run-registry.ts";
import { assignedRun } from "../assigned-run.ts";

function take(registry: RunRegistry, runId: string, sessionId = "ses_1"): TakenRun {
  const taken = registry.add(assignedRun({ runId, sessionId }));
  if (taken === null) throw new Error(`${runId} was taken before`);
  return taken;
}

function finish({ run, end }: TakenRun): void {
  run.moveTo("reporting");
  end({ remember: true });
}

/** The ids of the runs that have their turn. */
async function onTurn(taken: readonly TakenRun[]): Promise<string[]> {
  const ids: string[] = [];
  for (const { run, turn } of taken) void turn.then(() => ids.push(run.runId));
  await new Promise((resolve) => setImmediate(resolve));
  return ids;
}

test("RunRegistry: runs of one session take turns in the order of their claims", async () => {
  const registry = new RunRegistry(0, new Bell());
  const runs = ["run_a", "run_b", "run_c"].map((id) => take(registry, id));
  expect(await onTurn(runs)).toEqual(["run_a"]);
  finish(runs[0] as TakenRun);
  expect(await onTurn(runs)).toEqual(["run_a", "run_b"]);
  finish(runs[1] as TakenRun);
  expect(await onTurn(runs)).toEqual(["run_a", "run_b", "run_c"]);
});

test("RunRegistry: a run that ends before its turn lets no later run overtake the current one", async () => {
  const registry = new RunRegistry(0, new Bell());
  const runs = ["run_a", "run_b", "run_c"].map((id) => take(registry, id));
  finish(runs[1] as TakenRun);
  expect(await onTurn([runs[2] as TakenRun])).toEqual([]);
  finish(runs[0] as TakenRun);
  expect(await onTurn([runs[2] as TakenRun])).toEqual(["run_c"]);
});

test("RunRegistry: runs of different sessions do not wait for each other", async () => {
  const registry = new RunRegistry(0, new Bell());
  const runs = [take(registry, "run_a", "ses_a"), take(registry, "run_b", "ses_b")];
  expect(await onTurn(runs)).toEqual(["run_a", "run_b"]);
});

test("RunRegistry: a run has its turn at once after the earlier ones have ended", async () => {
  const registry = new RunRegistry(0, new Bell());
  finish(take(registry, "run_a"));
  expect(await onTurn([take(registry, "run_b")])).toEqual(["run_b"]);
});

test("RunRegistry.add: returns null for a known run, before and after its end", () => {
  const registry = new RunRegistry(0, new Bell());
  const taken = take(registry, "run_a");
  expect(registry.add(assignedRun({ runId: "run_a" }))).toBeNull();
  expect([registry.knows("run_a"), registry.get("run_a")?.runId]).toEqual([true, "run_a"]);
  finish(taken);
  expect(registry.add(assignedRun({ runId: "run_a" }))).toBeNull();
  expect([registry.knows("run_a"), registry.get("run_a"), registry.knows("run_b")]).toEqual([true, undefined, false]);
});

test("RunRegistry: counts a slot until the end of the executor, and a run until its acknowledged report", () => {
  const registry = new RunRegistry(2, new Bell());
  const first = take(registry, "run_a", "ses_a");
  expect([registry.executing, registry.isFullWith(0)]).toEqual([1, false]);
  const second = take(registry, "run_b", "ses_b");
  expect(registry.isFullWith(0)).toBe(true);
  first.run.moveTo("starting");
  first.run.moveTo("running");
  expect(registry.isFullWith(0)).toBe(true);
  first.run.moveTo("reporting");
  expect([registry.executing, registry.size, registry.isFullWith(0)]).toEqual([1, 2, false]);
  first.end({ remember: true });
  finish(second);
  expect([registry.executing, registry.size]).toEqual([0, 0]);
});

test("RunRegistry.waits: frees the slot of a running run until its last wait is over", () => {
  const registry = new RunRegistry(1, new Bell());
  const { run } = take(registry, "run_a", "ses_a");
  run.moveTo("starting");
  run.moveTo("running");
  const [first, second] = [registry.waits("run_a"), registry.waits("run_a")];
  expect([registry.isFullWith(0), registry.executing]).toEqual([false, 1]);
  take(registry, "run_b", "ses_b");
  expect(registry.isFullWith(0)).toBe(true);
  first[Symbol.dispose]();
  expect(registry.isFullWith(0)).toBe(true);
  second[Symbol.dispose]();
  expect([registry.isFullWith(0), registry.executing]).toEqual([true, 2]);
  registry.waits("run_a");
  expect(registry.isFullWith(0)).toBe(true);
  run.moveTo("reporting");
  // The end of the executor frees the slot; the open wait does not free a second one.
  expect([registry.isFullWith(0), registry.executing]).toEqual([true, 1]);
});

test("RunRegistry.waits: rings the bell at the start and at the end of a wait", async () => {
  const bell = new Bell();
  const registry = new RunRegistry(1, bell);
  take(registry, "run_a");
  const begun = bell.rung();
  const wait = registry.waits("run_a");
  await begun;
  const over = bell.rung();
  wait[Symbol.dispose]();
  await over;
});

test("RunRegistry: all runs of a session share one slot", () => {
  const registry = new RunRegistry(2, new Bell());
  const [first, second, third] = ["run_a", "run_b", "run_c"].map((runId) => take(registry, runId)) as [
    TakenRun,
    TakenRun,
    TakenRun,
  ];
  expect([registry.executing, registry.isFullWith(0)]).toEqual([3, false]);
  const other = take(registry, "run_d", "ses_d");
  expect(registry.isFullWith(0)).toBe(true);
  // A run that ends while it waits for its turn frees no slot.
  finish(second);
  finish(first);
  expect([registry.executing, registry.isFullWith(0)]).toEqual([2, true]);
  finish(third);
  expect([registry.executing, registry.isFullWith(0)]).toEqual([1, false]);
  finish(other);
  expect(registry.executing).toBe(0);
});

test("RunRegistry: 0 means no limit", () => {
  const registry = new RunRegistry(0, new Bell());
  for (let i = 0; i < 500; i++) take(registry, `run_${i}`, `ses_${i}`);
  expect([registry.isFullWith(0), registry.executing]).toEqual([false, 500]);
});

test("RunRegistry.ofSession: finds the runs of a session", () => {
  const registry = new RunRegistry(0, new Bell());
  take(registry, "run_a", "ses_a");
  take(registry, "run_b", "ses_b");
  take(registry, "run_c", "ses_a");
  expect(registry.ofSession("ses_a").map(({ runId }) => runId)).toEqual(["run_a", "run_c"]);
  expect(registry.all()).toHaveLength(3);
});

test("RunRegistry: rings the bell at a change of a run's state and at its end", async () => {
  const bell = new Bell();
  const registry = new RunRegistry(0, bell);
  const taken = take(registry, "run_a");
  const changed = bell.rung();
  taken.run.moveTo("reporting");
  await changed;
  const ended = bell.rung();
  taken.end({ remember: true });
  await ended;
});

test("RunRegistry: remembers a bounded number of ended runs", () => {
  const registry = new RunRegistry(0, new Bell());
  for (let i = 0; i <= 1_000; i++) finish(take(registry, `run_${i}`, `ses_${i}`));
  expect([registry.knows("run_0"), registry.knows("run_1"), registry.knows("run_1000")]).toEqual([false, true, true]);
});

test("RunRegistry.add: takes a run again whose claim was revoked, but no run that has ended", () => {
  const registry = new RunRegistry(0, new Bell());
  const revoked = take(registry, "run_a");
  revoked.run.moveTo("reporting");
  revoked.end({ remember: false });
  expect(registry.knows("run_a")).toBe(false);
  finish(take(registry, "run_a"));
  expect(registry.add(revoked.run.assigned)).toBeNull();
});

test("RunRegistry.remember: makes ended runs of an earlier process known", () => {
  const registry = new RunRegistry(0, new Bell());
  const { run } = take(registry, "run_b");
  registry.remember(["run_a"]);
  expect(registry.knows("run_a")).toBe(true);
  expect(registry.add({ ...run.assigned, runId: "run_a" })).toBeNull();
});
