import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { adoptExecutor, bootId, lives } from "../../src/process/adopt.ts";
import { ageMsOf, processStartTime } from "../../src/process/process-table.ts";
import { readStatus, statusOfCode } from "../../src/process/shim.ts";
import { statusFileOf } from "../../src/process/spawn.ts";
import { isAlive } from "../harness/processes.ts";
import { tempFolder } from "../harness/temp-folder.ts";
import { until } from "../harness/until.ts";
import { place, startScript } from "./started-process.ts";

test("the shim writes the exit status to a file, and exits with it", async () => {
  using at = place();
  await using run = startScript(at, "exit 7");
  expect(await run.process.exited).toEqual({ code: 7, signal: null });
  expect(readStatus(statusFileOf(join(at.path, "run")))).toBe(7);
});

test("the shim overwrites the file's content, so that a full disk has room for the status", async () => {
  using at = place();
  await using run = startScript(at, "cat ../run/exit; exit 12");
  await run.process.exited;
  expect(readStatus(statusFileOf(join(at.path, "run")))).toBe(12);
  expect(readFileSync(statusFileOf(join(at.path, "run")), "latin1")).toBe("12\n\n");
});

test("the shim survives a SIGTERM to the group, and reports how its child ended", async () => {
  using at = place();
  await using run = startScript(at, "trap 'exit 9' TERM; echo ready; while :; do sleep 0.02; done");
  await until("ready", () => run.stdout().includes("ready"));
  run.process.signalGroup("SIGTERM");
  expect(await run.process.exited).toEqual({ code: 9, signal: null });
  expect(readStatus(statusFileOf(join(at.path, "run")))).toBe(9);
});

test("the shim's own messages are not in the executor's output", async () => {
  using at = place();
  await using run = startScript(at, "kill -SEGV $$");
  expect((await run.process.exited).signal).toBe("SIGSEGV");
  expect([run.stdout(), run.process.stderr.tail(1_000)]).toEqual(["", ""]);
});

test("readStatus: returns null for an incomplete status", () => {
  using folder = tempFolder();
  const file = join(folder.path, "exit");
  expect(readStatus(file)).toBeNull();
  for (const [text, status] of [
    ["", null],
    ["1", null],
    ["12\n", 12],
    ["12\n\n", 12],
    ["\n\n\n\n", null],
    ["x\n", null],
    ["0\n", 0],
  ] as const) {
    writeFileSync(file, text);
    expect(readStatus(file)).toBe(status);
  }
});

test("statusOfCode: 128 + n is signal n, as in shells", () => {
  expect([0, 1, 127, 128, 137, 143, 255].map(statusOfCode)).toEqual([
    { code: 0, signal: null },
    { code: 1, signal: null },
    { code: 127, signal: null },
    { code: 128, signal: null },
    { code: null, signal: "SIGKILL" },
    { code: null, signal: "SIGTERM" },
    { code: 255, signal: null },
  ]);
});

test("lives: false for another process with the same pid, and for another boot", () => {
  const own = { pid: process.pid, startedAt: processStartTime(process.pid) ?? "", bootId: bootId() };
  expect(lives(own)).toBe(true);
  expect(lives({ ...own, startedAt: "1" })).toBe(false);
  expect(lives({ ...own, bootId: "before" })).toBe(false);
  expect(lives({ ...own, startedAt: "" })).toBe(false);
});

test("adoptExecutor: detects the end and the status of a process that is not its child", async () => {
  using at = place();
  await using run = startScript(at, "echo before; while [ ! -e go ]; do sleep 0.02; done; echo after; exit 4");
  const identity = { pid: run.process.pid, startedAt: run.process.startedAt, bootId: bootId() };
  const adopted = adoptExecutor(identity, join(at.path, "run"), 0);
  await until("its first output", () => adopted.stdout.tail(100) === "before");
  writeFileSync(join(at.path, "project", "go"), "");
  expect(await adopted.exited).toEqual({ code: 4, signal: null });
  expect(adopted.stdout.tail(100)).toBe("before\nafter");
  adopted.close();
});

test("adoptExecutor: no status for a vanished executor, and no signal to another process with its pid", async () => {
  using at = place();
  await using run = startScript(at, "sleep 300");
  const identity = { pid: run.process.pid, startedAt: run.process.startedAt, bootId: bootId() };
  const stranger = adoptExecutor({ ...identity, startedAt: "1" }, join(at.path, "run"), 0);
  expect(await stranger.exited).toEqual({ code: null, signal: null });
  stranger.signalGroup("SIGKILL");
  expect(isAlive(run.process.pid)).toBe(true);
  const adopted = adoptExecutor(identity, join(at.path, "run"), 0);
  adopted.signalGroup("SIGKILL");
  expect(await adopted.exited).toEqual({ code: null, signal: null });
  stranger.close();
  adopted.close();
});

test("adoptExecutor: knows the executor's age; 0 once it is gone", async () => {
  using at = place();
  await using run = startScript(at, "sleep 300");
  expect(run.process.ageMs).toBe(0);
  const identity = { pid: run.process.pid, startedAt: run.process.startedAt, bootId: bootId() };
  await until("an age of 100 ms", () => ageMsOf(identity.startedAt) > 100);
  const adopted = adoptExecutor(identity, join(at.path, "run"), 0);
  expect(adopted.ageMs).toBeGreaterThan(100);
  const gone = adoptExecutor({ ...identity, startedAt: "1" }, join(at.path, "run"), 0);
  expect(gone.ageMs).toBe(0);
  run.process.signalGroup("SIGKILL");
  for (const executor of [adopted, gone]) {
    await executor.exited;
    executor.close();
  }
});
