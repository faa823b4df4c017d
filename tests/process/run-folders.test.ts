import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pruneRunFolders, recordFileOf } from "../../src/process/run-folders.ts";
import { statusFileOf } from "../../src/process/spawn.ts";
import { tempFolder } from "../harness/temp-folder.ts";

const NO_LIMITS = { maxAgeMs: 0, maxBytes: 0, maxRuns: 0 };
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

interface Folder {
  readonly ageMs: number;
  readonly bytes?: number;
  readonly hasEnded?: boolean;
  readonly hasRecord?: boolean;
}

function runFolder(
  folder: string,
  name: string,
  { ageMs, bytes = 1, hasEnded = true, hasRecord = false }: Folder,
): void {
  const path = join(folder, name);
  mkdirSync(path);
  writeFileSync(statusFileOf(path), hasEnded ? "0\n" : "\n\n\n\n");
  writeFileSync(join(path, "stdout"), Buffer.alloc(bytes));
  if (hasRecord) writeFileSync(recordFileOf(path), "{}");
  const at = new Date(Date.now() - ageMs);
  for (const written of [join(path, "stdout"), path]) utimesSync(written, at, at);
}

const namesIn = (folder: string): string[] => readdirSync(folder).toSorted();

test("pruneRunFolders: keeps the newest by number, regardless of their names", async () => {
  using folder = tempFolder();
  for (const [i, name] of ["run_d", "run_b", "run_a", "run_c"].entries())
    runFolder(folder.path, name, { ageMs: i * HOUR_MS });
  expect(await pruneRunFolders(folder.path, { ...NO_LIMITS, maxRuns: 2 })).toBe(2);
  expect(namesIn(folder.path)).toEqual(["run_b", "run_d"]);
});

test("pruneRunFolders: removes by age, counted from the last write", async () => {
  using folder = tempFolder();
  runFolder(folder.path, "run_new", { ageMs: HOUR_MS });
  runFolder(folder.path, "run_old", { ageMs: 40 * DAY_MS });
  runFolder(folder.path, "run_writes", { ageMs: 40 * DAY_MS });
  utimesSync(join(folder.path, "run_writes", "stdout"), new Date(), new Date());
  await pruneRunFolders(folder.path, { ...NO_LIMITS, maxAgeMs: 30 * DAY_MS });
  expect(namesIn(folder.path)).toEqual(["run_new", "run_writes"]);
});

test("pruneRunFolders: removes by size, oldest first", async () => {
  using folder = tempFolder();
  for (const [i, name] of ["run_1", "run_2", "run_3"].entries())
    runFolder(folder.path, name, { ageMs: i * HOUR_MS, bytes: 1024 * 1024 });
  await pruneRunFolders(folder.path, { ...NO_LIMITS, maxBytes: 2.5 * 1024 * 1024 });
  expect(namesIn(folder.path)).toEqual(["run_1", "run_2"]);
});

test("pruneRunFolders: removes nothing without a limit", async () => {
  using folder = tempFolder();
  runFolder(folder.path, "run_old", { ageMs: 4_000 * DAY_MS });
  expect(await pruneRunFolders(folder.path, NO_LIMITS)).toBe(0);
});

test("pruneRunFolders: keeps a folder in use, whatever the limits", async () => {
  using folder = tempFolder();
  runFolder(folder.path, "run_recorded", { ageMs: 20 * DAY_MS, hasRecord: true, hasEnded: false });
  runFolder(folder.path, "run_unreported", { ageMs: 20 * DAY_MS, hasRecord: true });
  runFolder(folder.path, "run_prepared", { ageMs: HOUR_MS, hasEnded: false });
  runFolder(folder.path, "run_ended", { ageMs: 20 * DAY_MS });
  runFolder(folder.path, "run_alive", { ageMs: 40 * DAY_MS, hasRecord: true, hasEnded: false });
  const child = Bun.spawn(["sleep", "60"], {
    env: { ...process.env, AGENT_RUN_ID: "run_alive" },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  try {
    await pruneRunFolders(folder.path, { maxAgeMs: 1, maxBytes: 1, maxRuns: 1 });
    expect(namesIn(folder.path)).toEqual(["run_alive", "run_prepared", "run_recorded", "run_unreported"]);
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
  await pruneRunFolders(folder.path, { maxAgeMs: 1, maxBytes: 1, maxRuns: 1 });
  expect(namesIn(folder.path)).toEqual(["run_prepared", "run_recorded", "run_unreported"]);
});

test("pruneRunFolders: does nothing if the folder does not exist", async () => {
  using folder = tempFolder();
  const missing = join(folder.path, "runs");
  expect(await pruneRunFolders(missing, { ...NO_LIMITS, maxRuns: 1 })).toBe(0);
  expect(existsSync(missing)).toBe(false);
});

test("pruneRunFolders: removes the other folders despite a dangling symbolic link", async () => {
  using folder = tempFolder();
  for (const name of ["run_a", "run_b"]) {
    mkdirSync(join(folder.path, name));
    writeFileSync(join(folder.path, name, "exit"), "0\n");
  }
  symlinkSync(join(folder.path, "nowhere"), join(folder.path, "run_c"));
  await pruneRunFolders(folder.path, { ...NO_LIMITS, maxBytes: 1 });
  expect(readdirSync(folder.path)).toEqual(["run_c"]);
});
