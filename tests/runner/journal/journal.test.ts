import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Flush } from "../../../src/process/group-sync.ts";
import { Journal } from "../../../src/runner/journal/journal.ts";
import { smallDisk } from "../../harness/small-disk.ts";
import { tempFolder } from "../../harness/temp-folder.ts";
import { assignedRun } from "../assigned-run.ts";
import { recordedLog } from "../recorded-log.ts";

const IDENTITY = { pid: 4711, startedAt: "123", bootId: "boot" };
const ACTIVITY = {
  assistantMessageSent: true,
  sessionStopSent: false,
  sessionStopAt: null,
  resultSent: false,
  lastAssistantText: "so far",
};

function journalIn(folder: string): { journal: Journal; path: string; lines: string[] } {
  const path = join(folder, "journals", "key.sqlite");
  const { log, lines } = recordedLog();
  return { journal: Journal.open(path, log), path, lines };
}

test("Journal: its records outlive the process", () => {
  using folder = tempFolder();
  const { journal } = journalIn(folder.path);
  journal.gatewayPort = 23_456;
  journal.starting(assignedRun({ runId: "run_a" }), "token-a");
  journal.spawning("run_a");
  journal.running("run_a", IDENTITY);
  journal.active("run_a", ACTIVITY);
  journal.cancelled("run_a", { kind: "run-timeout", afterMs: 5_000 });
  journal.starting(assignedRun({ runId: "run_b" }), "token-b");
  journal.ended("run_b", { kind: "stopped", signal: "SIGKILL" });
  // Not closed, as after SIGKILL.
  const { journal: next, lines } = journalIn(folder.path);
  const { log } = recordedLog();
  expect(next.gatewayPort).toBe(23_456);
  expect(next.unfinished(log)).toMatchObject([
    {
      phase: "running",
      token: "token-a",
      identity: IDENTITY,
      activity: ACTIVITY,
      cancel: { kind: "run-timeout", afterMs: 5_000 },
      outcome: null,
    },
    { phase: "ended", token: "token-b", identity: null, outcome: { kind: "stopped", signal: "SIGKILL" } },
  ]);
  expect(lines).toEqual([]);
});

test("Journal: a revoked claim has the name on disk that version 0.1.0 gave it", () => {
  using folder = tempFolder();
  const { journal, path } = journalIn(folder.path);
  journal.starting(assignedRun({ runId: "run_a" }), "t");
  journal.ended("run_a", { kind: "claim-revoked", reason: "409" });
  using db = new Database(path);
  const row = db.query<{ outcome: string }, []>("SELECT outcome FROM runs").get();
  expect(JSON.parse(row?.outcome ?? "")).toEqual({ kind: "claim-lost", reason: "409" });
  expect(journal.unfinished(recordedLog().log)).toMatchObject([{ outcome: { kind: "claim-revoked", reason: "409" } }]);
});

test("Journal: keeps how long the executor ran", () => {
  using folder = tempFolder();
  const { journal } = journalIn(folder.path);
  journal.starting(assignedRun({ runId: "run_a" }), "t");
  journal.ended("run_a", { kind: "succeeded", durationMs: 1_234.5 });
  expect(journal.outcomeOf("run_a")).toEqual({ kind: "succeeded", durationMs: 1_234.5 });
});

test("Journal: a generation has the name on disk that version 0.1.0 gave it", () => {
  using folder = tempFolder();
  const { journal, path } = journalIn(folder.path);
  journal.starting(assignedRun({ runId: "run_a" }), "t");
  journal.starting(assignedRun({ runId: "run_b", generation: "second" }), "t");
  using db = new Database(path);
  const rows = db.query<{ assigned: string }, []>("SELECT assigned FROM runs ORDER BY run_id").all();
  expect(rows.map(({ assigned }) => JSON.parse(assigned))).toMatchObject([{ generation: "G1" }, { generation: "G2" }]);
  expect(journal.unfinished(recordedLog().log)).toMatchObject([
    { assigned: { generation: "first" } },
    { assigned: { generation: "second" } },
  ]);
});

test("Journal: leaves out the prompt", () => {
  using folder = tempFolder();
  const { journal, path } = journalIn(folder.path);
  journal.starting(assignedRun({ prompt: "a secret plan", parameters: { prompt: "a secret plan" } }), "t");
  using db = new Database(path);
  expect(JSON.stringify(db.query("SELECT * FROM runs").all())).not.toContain("secret");
});

test("Journal: remembers done runs, and does not return them as unfinished", () => {
  using folder = tempFolder();
  const { journal } = journalIn(folder.path);
  journal.starting(assignedRun({ runId: "run_a" }), "t");
  journal.ended("run_a", { kind: "succeeded" });
  journal.done("run_a");
  journal.starting(assignedRun({ runId: "run_b" }), "t");
  journal.forget("run_b");
  expect(journal.unfinished(recordedLog().log)).toEqual([]);
  expect(journal.doneIds()).toEqual(["run_a"]);
});

test.each([
  ["damaged", (path: string) => writeFileSync(path, "this is not a database, but long enough for a header")],
  [
    "of another version",
    (path: string) => {
      using db = new Database(path);
      db.run("PRAGMA user_version = 99");
    },
  ],
])("Journal.open: sets a file aside that is %s, logs an error, and starts an empty journal", (_, damage) => {
  using folder = tempFolder();
  const { journal, path } = journalIn(folder.path);
  journal.starting(assignedRun({}), "t");
  journal[Symbol.dispose]();
  damage(path);
  const { journal: next, lines } = journalIn(folder.path);
  expect(next.unfinished(recordedLog().log)).toEqual([]);
  expect(lines).toEqual([expect.stringMatching(/^\[ERROR\].*cannot be used.*set aside as/)]);
  expect(readdirSync(join(folder.path, "journals")).filter((name) => name.includes("set-aside"))).not.toEqual([]);
  next.starting(assignedRun({}), "t");
  expect(next.unfinished(recordedLog().log)).toHaveLength(1);
});

test("Journal.unfinished: logs and skips an invalid record", () => {
  using folder = tempFolder();
  const { journal, path } = journalIn(folder.path);
  journal.starting(assignedRun({ runId: "run_a" }), "t");
  journal.starting(assignedRun({ runId: "run_b" }), "t");
  using db = new Database(path);
  db.run("UPDATE runs SET assigned = '{\"runId\": 5}' WHERE run_id = 'run_a'");
  const { log, lines } = recordedLog();
  expect(journal.unfinished(log).map(({ assigned }) => assigned.runId)).toEqual(["run_b"]);
  expect(lines).toEqual([expect.stringContaining("record of run run_a is invalid")]);
});

test("Journal.open: does not set a file aside that cannot be opened: its records may be good", () => {
  using folder = tempFolder();
  mkdirSync(join(folder.path, "journals", "key.sqlite"), { recursive: true });
  expect(() => journalIn(folder.path)).toThrow(/journal .* cannot be opened/);
  expect(readdirSync(join(folder.path, "journals"))).toEqual(["key.sqlite"]);
});

test("Journal.open: makes the folder private, even if it exists", () => {
  using folder = tempFolder();
  mkdirSync(join(folder.path, "journals"), { mode: 0o755 });
  journalIn(folder.path);
  expect(statSync(join(folder.path, "journals")).mode & 0o777).toBe(0o700);
});

/** Refuses every write, as a full disk does, until the returned function is called. */
function refuseWrites(path: string): () => void {
  using db = new Database(path);
  for (const kind of ["INSERT", "UPDATE", "DELETE"]) {
    db.run(`CREATE TRIGGER refuse_${kind} BEFORE ${kind} ON runs BEGIN SELECT RAISE(ABORT, 'no room'); END`);
  }
  return () => {
    using lifted = new Database(path);
    for (const kind of ["INSERT", "UPDATE", "DELETE"]) lifted.run(`DROP TRIGGER refuse_${kind}`);
  };
}

function journalWithFaults(folder: string): { journal: Journal; path: string; faults: string[] } {
  const path = join(folder, "journals", "key.sqlite");
  const faults: string[] = [];
  const journal = Journal.open(path, recordedLog().log);
  journal.onFault = (fault) => faults.push(String(fault));
  return { journal, path, faults };
}

test("Journal: before the spawn a failed write throws, and calls onFault", () => {
  using folder = tempFolder();
  const { journal, path, faults } = journalWithFaults(folder.path);
  refuseWrites(path);
  expect(() => journal.starting(assignedRun({}), "t")).toThrow("no room");
  expect(faults).toEqual([expect.stringContaining("no room")]);
});

test("Journal: after the spawn a failed write is queued, and retried in order", () => {
  using folder = tempFolder();
  const { journal, path, faults } = journalWithFaults(folder.path);
  for (const runId of ["run_a", "run_b"]) journal.starting(assignedRun({ runId }), `token-${runId}`);
  journal.spawning("run_a");
  const lift = refuseWrites(path);
  journal.running("run_a", IDENTITY);
  journal.active("run_a", { ...ACTIVITY, lastAssistantText: "first" });
  journal.active("run_a", ACTIVITY);
  journal.cancelled("run_a", { kind: "stop-command" });
  journal.ended("run_a", { kind: "stopped", signal: "SIGTERM" });
  journal.done("run_b");
  expect(faults).toHaveLength(6);
  const phases = journal.unfinished(recordedLog().log).map(({ assigned, phase }) => `${assigned.runId} ${phase}`);
  expect(phases.toSorted()).toEqual(["run_a spawning", "run_b starting"]);
  expect(() => journal.requireRoom()).toThrow("no room");
  lift();
  journal.requireRoom();
  expect(journal.unfinished(recordedLog().log)).toMatchObject([
    {
      phase: "ended",
      identity: IDENTITY,
      activity: ACTIVITY,
      cancel: { kind: "stop-command" },
      outcome: { kind: "stopped" },
    },
  ]);
  expect(journal.doneIds()).toEqual(["run_b"]);
});

test("Journal: writes the queue before the next record", () => {
  using folder = tempFolder();
  const { journal, path } = journalWithFaults(folder.path);
  journal.starting(assignedRun({ runId: "run_a" }), "t");
  journal.spawning("run_a");
  const lift = refuseWrites(path);
  journal.notSpawned("run_a");
  expect(() => journal.spawning("run_a")).toThrow("no room");
  lift();
  journal.spawning("run_a");
  expect(journal.unfinished(recordedLog().log)).toMatchObject([{ phase: "spawning" }]);
});

test.skipIf(!smallDisk.isPossible)("Journal: a full disk loses no record", () => {
  using disk = smallDisk.mount(2);
  const { journal, faults } = journalWithFaults(disk.path);
  journal.starting(assignedRun({ runId: "run_a" }), "t");
  journal.spawning("run_a");
  const ballast = join(disk.path, "ballast");
  try {
    writeFileSync(ballast, Buffer.alloc(4 * 1024 * 1024));
  } catch {
    // The disk is full.
  }
  journal.running("run_a", IDENTITY);
  journal.active("run_a", { ...ACTIVITY, lastAssistantText: "x".repeat(64 * 1024) });
  journal.ended("run_a", { kind: "succeeded" });
  expect(faults).not.toEqual([]);
  rmSync(ballast);
  journal.requireRoom();
  expect(journal.unfinished(recordedLog().log)).toMatchObject([
    { phase: "ended", identity: IDENTITY, outcome: { kind: "succeeded" } },
  ]);
  journal[Symbol.dispose]();
});

test("Journal: keeps the newest 10,000 done runs, and all others", () => {
  using folder = tempFolder();
  const { journal } = journalIn(folder.path);
  // Everything is old enough to go, but the newest stay: the clock may have jumped.
  journal.keepMs = -1_000;
  journal.starting(assignedRun({ runId: "run_open" }), "token");
  for (let i = 0; i < 12_500; i++) {
    journal.starting(assignedRun({ runId: `run_${i}` }), "token");
    journal.done(`run_${i}`);
  }
  const done = new Set(journal.doneIds());
  expect([done.size, done.has("run_12499"), done.has("run_0")]).toEqual([10_500, true, false]);
  expect(journal.unfinished(recordedLog().log)).toMatchObject([{ assigned: { runId: "run_open" } }]);
  journal[Symbol.dispose]();
});

test("Journal: outcomes stay as long as the coordinator asks for them", () => {
  using folder = tempFolder();
  const { journal } = journalIn(folder.path);
  for (let i = 0; i < 11_000; i++) {
    journal.starting(assignedRun({ runId: `run_${i}` }), "token");
    journal.ended(`run_${i}`, { kind: "succeeded" });
    journal.done(`run_${i}`);
  }
  expect([journal.isDone("run_0"), journal.outcomeOf("run_0")]).toEqual([true, { kind: "succeeded" }]);
  expect([journal.isHere("run_x"), journal.outcomeOf("run_x")]).toEqual([false, null]);
  journal[Symbol.dispose]();
});

test("Journal: keeps the latest moment of the coordinator and the instances of this runner", () => {
  using folder = tempFolder();
  const first = journalIn(folder.path).journal;
  expect([first.seen, first.beginInstance("instance-1")]).toEqual([null, []]);
  first.seen = { epoch: "a", moves: 5 };
  first.seen = { epoch: "a", moves: 3 };
  expect(first.seen).toEqual({ epoch: "a", moves: 5 });
  first.seen = { epoch: "b", moves: 3 };
  first[Symbol.dispose]();
  const second = journalIn(folder.path).journal;
  expect([second.seen, second.beginInstance("instance-2")]).toEqual([{ epoch: "b", moves: 3 }, ["instance-1"]]);
  second[Symbol.dispose]();
});

/** A disk whose flushes end when the test says so. */
function heldDisk(): { pending: ((error: NodeJS.ErrnoException | null) => void)[]; toDisk: Flush } {
  const pending: ((error: NodeJS.ErrnoException | null) => void)[] = [];
  return { pending, toDisk: (_fd, done) => void pending.push(done) };
}

test("Journal.durable: waits for the disk; one flush serves the records of many runs", async () => {
  using folder = tempFolder();
  const { pending, toDisk } = heldDisk();
  using journal = Journal.open(join(folder.path, "journals", "key.sqlite"), recordedLog().log, toDisk);
  await journal.durable();
  expect(pending).toHaveLength(0);
  const onDisk: string[] = [];
  const record = async (runId: string): Promise<void> => {
    journal.starting(assignedRun({ runId }), "t");
    await journal.durable();
    onDisk.push(runId);
  };
  const waits = ["run_a", "run_b", "run_c"].map(record);
  await Bun.sleep(0);
  expect([onDisk, pending.length]).toEqual([[], 1]);
  pending.shift()?.(null);
  await waits[0];
  expect(onDisk).toEqual(["run_a"]);
  await Bun.sleep(0);
  expect(pending).toHaveLength(1);
  pending.shift()?.(null);
  await Promise.all(waits);
  expect(onDisk).toEqual(["run_a", "run_b", "run_c"]);
});

test("Journal.durable: a failed flush rejects and calls onFault; the records are written again", async () => {
  using folder = tempFolder();
  const path = join(folder.path, "journals", "key.sqlite");
  const { pending, toDisk } = heldDisk();
  using journal = Journal.open(path, recordedLog().log, toDisk);
  const faults: string[] = [];
  journal.onFault = (fault) => faults.push(String(fault));
  journal.starting(assignedRun({}), "t");
  const refused = journal.durable();
  await Bun.sleep(0);
  pending.shift()?.(Object.assign(new Error("no room"), { code: "ENOSPC" }));
  await expect(refused).rejects.toThrow("no room");
  expect(faults).toEqual([expect.stringContaining("no room")]);
  expect(statSync(`${path}-wal`).size).toBeGreaterThan(0);
  const again = journal.durable();
  await Bun.sleep(0);
  // SQLite has moved the records into the file and waited for the disk.
  expect(statSync(`${path}-wal`).size).toBe(0);
  pending.shift()?.(null);
  await again;
});

test("Journal.beginBoot: notices a reboot", () => {
  using folder = tempFolder();
  const boots = ["boot-1", "boot-1", "boot-2", "boot-2"].map((bootId) => {
    using journal = journalIn(folder.path).journal;
    return journal.beginBoot(bootId);
  });
  expect(boots).toEqual([true, true, false, true]);
});
