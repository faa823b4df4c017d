import { expect, test } from "bun:test";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { UserError } from "../../src/errors.ts";
import { claimMachine, lockIdentity, locksFolder, type RunnerIdentity } from "../../src/runner/identity-lock.ts";
import { isAlive } from "../harness/processes.ts";
import { tempFolder } from "../harness/temp-folder.ts";
import { until } from "../harness/until.ts";

const IDENTITY: RunnerIdentity = {
  coordinatorUrl: "http://localhost:8765",
  hostname: "h",
  projectDir: "/p",
  executorType: "x",
};
const MODULE = resolve(import.meta.dir, "../../src/runner/identity-lock.ts");

/** Whether the lock is free. */
function isFree(folder: string, identity: RunnerIdentity = IDENTITY): boolean {
  try {
    lockIdentity(identity, folder)[Symbol.dispose]();
    return true;
  } catch (error) {
    if (error instanceof UserError) return false;
    throw error;
  }
}

test("lockIdentity: one holder at a time; free again when disposed", () => {
  using folder = tempFolder();
  const lock = lockIdentity(IDENTITY, folder.path);
  expect(isFree(folder.path)).toBe(false);
  lock[Symbol.dispose]();
  expect(isFree(folder.path)).toBe(true);
});

test("lockIdentity: another identity has another lock", () => {
  using folder = tempFolder();
  using _lock = lockIdentity(IDENTITY, folder.path);
  const others = [
    { projectDir: "/q" },
    { executorType: "y" },
    { hostname: "i" },
    { coordinatorUrl: "http://localhost:8766" },
  ];
  expect(others.map((other) => isFree(folder.path, { ...IDENTITY, ...other }))).toEqual([true, true, true, true]);
});

test("lockIdentity: all loopback names are one coordinator", () => {
  using folder = tempFolder();
  using _lock = lockIdentity(IDENTITY, folder.path);
  const names = ["http://127.0.0.1:8765", "http://[::1]:8765/", "http://LOCALHOST:8765"];
  expect(names.map((coordinatorUrl) => isFree(folder.path, { ...IDENTITY, coordinatorUrl }))).toEqual([
    false,
    false,
    false,
  ]);
});

/** Another process that holds the lock and has a child, as a runner has executors. */
async function holder(folder: string): Promise<{ pid: number; child: number; kill: () => Promise<void> }> {
  const script = `
    const { lockIdentity } = await import(${JSON.stringify(MODULE)});
    globalThis.lock = lockIdentity(${JSON.stringify(IDENTITY)}, ${JSON.stringify(folder)});
    const child = Bun.spawn(["sleep", "300"], { stdin: "ignore", stdout: "ignore", stderr: "ignore", detached: true });
    await Bun.write(${JSON.stringify(join(folder, "child"))}, String(child.pid));
    setInterval(() => {}, 1000);`;
  const started = Bun.spawn([process.execPath, "-e", script], { stdin: "ignore", stdout: "ignore", stderr: "inherit" });
  const child = await until("the other process to hold the lock", async () => {
    const file = Bun.file(join(folder, "child"));
    return (await file.exists()) ? Number(await file.text()) : 0;
  });
  return {
    pid: started.pid,
    child,
    async kill() {
      started.kill("SIGKILL");
      await started.exited;
    },
  };
}

test("lockIdentity: throws a UserError with the holder's pid; SIGKILL of a holder with a child frees it", async () => {
  using folder = tempFolder();
  const other = await holder(folder.path);
  try {
    expect(() => lockIdentity(IDENTITY, folder.path)).toThrow(`already running on this machine (pid ${other.pid})`);
    expect(() => lockIdentity(IDENTITY, folder.path)).toThrow(UserError);
    await other.kill();
    expect(isAlive(other.child)).toBe(true);
    expect(isFree(folder.path)).toBe(true);
  } finally {
    await other.kill();
    process.kill(other.child, "SIGKILL");
  }
});

test("lockIdentity: waits for a process that probes the lock for a moment", async () => {
  using folder = tempFolder();
  lockIdentity(IDENTITY, folder.path)[Symbol.dispose]();
  // The runner on record is dead.
  const [holderFile = ""] = new Bun.Glob("*.json").scanSync({ cwd: folder.path });
  const record = JSON.parse(readFileSync(join(folder.path, holderFile), "utf8")) as object;
  writeFileSync(join(folder.path, holderFile), JSON.stringify({ ...record, startedAt: "1" }));
  const script = `
    const { lockKey } = await import(${JSON.stringify(MODULE)});
    const lock = lockKey(${JSON.stringify(folder.path)}, ${JSON.stringify(basename(holderFile, ".json"))});
    console.log(lock === null ? "held" : "probing");
    // A moment.
    await Bun.sleep(300);`;
  await using probe = Bun.spawn([process.execPath, "-e", script], { stdin: "ignore", stdout: "pipe" });
  const { value } = await probe.stdout.getReader().read();
  expect(new TextDecoder().decode(value)).toBe("probing\n");
  expect(isFree(folder.path)).toBe(true);
});

test("lockIdentity: throws a UserError for a folder that cannot be used", () => {
  using folder = tempFolder();
  const file = join(folder.path, "file");
  writeFileSync(file, "");
  expect(() => lockIdentity(IDENTITY, join(file, "locks"))).toThrow(UserError);
  expect(() => lockIdentity(IDENTITY, join(file, "locks"))).toThrow(
    `Could not lock a file in ${join(file, "locks")}: `,
  );
});

test("claimMachine: one holder at a time per coordinator, however its host is spelt; free again when disposed", () => {
  const identity = { ...IDENTITY, projectDir: `/p/${process.pid}` };
  const claim = claimMachine(identity);
  expect(claim).not.toBeNull();
  expect(claimMachine({ ...identity, coordinatorUrl: "http://this-machine:8765/" })).toBeNull();
  claimMachine({ ...identity, coordinatorUrl: "http://localhost:8766" })?.[Symbol.dispose]();
  claimMachine({ ...identity, executorType: "y" })?.[Symbol.dispose]();
  claim?.[Symbol.dispose]();
  const again = claimMachine(identity);
  expect(again).not.toBeNull();
  again?.[Symbol.dispose]();
});

test("lockIdentity: knows the gateway ports of other runners, dead ones too, and not its own", () => {
  using folder = tempFolder();
  const first = lockIdentity(IDENTITY, folder.path);
  first.recordPort(20_001);
  first[Symbol.dispose]();
  using second = lockIdentity({ ...IDENTITY, projectDir: "/other" }, folder.path);
  expect([...second.portsOfOthers()]).toEqual([20_001]);
  using again = lockIdentity(IDENTITY, folder.path);
  second.recordPort(20_002);
  expect([...again.portsOfOthers()]).toEqual([20_002]);
  expect([...second.portsOfOthers()]).toEqual([20_001]);
});

test.if(process.platform === "linux")(
  "locksFolder: the state folder's, if the user's exists and cannot be written",
  () => {
    using folder = tempFolder();
    const state = join(folder.path, "state");
    const folders = { config: "", data: "", state };
    expect(locksFolder({ folders, stateDir: "/other", trustedFolders: [] })).toBe(join(state, "locks"));
    const readOnly = join(folder.path, "read-only");
    mkdirSync(readOnly);
    // Nobody can make a folder here, root neither.
    symlinkSync("/proc/self", join(readOnly, "locks"));
    const places = { folders: { ...folders, state: readOnly }, stateDir: "/other", trustedFolders: [] };
    expect(locksFolder(places)).toBe("/other/locks");
  },
);
