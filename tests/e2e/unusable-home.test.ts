import { expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, chownSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { BINARY } from "../harness/binary.ts";
import { type SmallDisk, smallDisk } from "../harness/small-disk.ts";
import { START_MS, TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const isRoot = process.getuid?.() === 0;
const isLinux = process.platform === "linux";
const canMount = smallDisk.isPossible;

/** Environment that names a home in which this user's shared folders cannot be used. `disk` is an empty HOME. */
type Home = (world: World, disk: SmallDisk | null) => Readonly<Record<string, string>>;

function folders(home: string, ...names: string[]): string {
  for (const name of names) mkdirSync(join(home, ".local/state/agent-runner", name), { recursive: true, mode: 0o700 });
  return home;
}

function inHome(home: string): Readonly<Record<string, string>> {
  return { HOME: home, XDG_STATE_HOME: "", XDG_DATA_HOME: "", XDG_CONFIG_HOME: "" };
}

const HOMES: readonly [what: string, isPossible: boolean, home: Home][] = [
  ["HOME is a file", true, (world) => (writeFileSync(world.path("file"), ""), inHome(world.path("file")))],
  ["HOME is a device", true, () => inHome("/dev/null")],
  ["HOME is a broken link", true, (world) => (symlinkSync("/proc/none/x", world.path("l")), inHome(world.path("l")))],
  ["HOME cannot be made", isLinux, () => inHome("/proc/no-home")],
  [
    "the locks are a file",
    true,
    (world) => (
      writeFileSync(join(folders(world.home, "."), ".local/state/agent-runner/locks"), ""),
      inHome(world.home)
    ),
  ],
  [
    "others can write the folder of state",
    true,
    (world) => (chmodSync(join(folders(world.home, "."), ".local/state/agent-runner"), 0o777), inHome(world.home)),
  ],
  [
    "the locks belong to another user",
    isRoot,
    (world) => (
      chownSync(join(folders(world.home, "locks"), ".local/state/agent-runner/locks"), 54321, 54321),
      inHome(world.home)
    ),
  ],
  [
    "XDG_STATE_HOME is a file",
    true,
    (world) => (writeFileSync(world.path("f"), ""), { XDG_STATE_HOME: world.path("f") }),
  ],
  ["XDG_STATE_HOME is relative", true, () => ({ XDG_STATE_HOME: "relative/state" })],
  ["HOME is on a read-only disk", canMount, (_, disk) => (remount(disk, "ro"), inHome(disk?.path ?? ""))],
  [
    "HOME is on a read-only disk with all folders",
    canMount,
    (_, disk) => (folders(disk?.path ?? "", "locks", "coordinators"), remount(disk, "ro"), inHome(disk?.path ?? "")),
  ],
  [
    "HOME is on a full disk",
    canMount,
    (_, disk) => {
      folders(disk?.path ?? "", "locks", "coordinators");
      expect(() => writeFileSync(join(disk?.path ?? "", "ballast"), Buffer.alloc(2 * 1024 * 1024))).toThrow("ENOSPC");
      return inHome(disk?.path ?? "");
    },
  ],
];

function remount(disk: SmallDisk | null, options: string): void {
  const { success } = Bun.spawnSync(["mount", "-o", `remount,${options}`, disk?.path ?? ""]);
  if (!success) throw new Error(`cannot remount with ${options}`);
}

test.each(HOMES)("with --state-dir everything starts when %s", async (_, isPossible, home) => {
  if (!isPossible) return;
  using disk = canMount ? smallDisk.mount(1) : null;
  await using world = new World();
  const env = home(world, disk);
  const stateDir = world.path("state");
  const state = ["--state-dir", stateDir];
  const sample = await world.run(["up", "--port", "0", "-x", "test-executor", "--sample", "--once", ...state], { env });
  expect({ ...sample, stdout: "" }).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(sample.stdout).toContain("Its result:");

  const coordinator = world.start(["coordinator", "--port", "0", ...state], { env });
  const [, url = ""] = await coordinator.line(/agent-runner -c (\S+)/, START_MS);
  const runner = world.start(["-c", url, "-x", "test-executor", ...state], { env });
  await runner.line(/Runner started/, START_MS);
  // Commands without --state-dir find the token by the variable.
  const named = { ...env, AGENT_RUNNER_STATE_DIR: stateDir };
  const run = await world.run(["submit", "-c", url, "--wait", "Hello"], { env: named });
  expect([run.code, run.stdout]).toEqual([0, expect.stringContaining("Hello")]);
  const doctor = await world.run(["doctor", "-c", url, "-x", "test-executor", ...state], { env });
  expect([doctor.code, doctor.stdout]).toEqual([0, expect.not.stringContaining("FAULT")]);
  const second = await world.run(["-c", url, "-x", "test-executor", ...state], { env });
  expect([second.code, second.stderr]).toEqual([1, expect.stringContaining("is already running on this machine")]);
  expect(existsSync(world.path("relative"))).toBe(false);
});

test.skipIf(!canMount)("without --state-dir a read-only HOME is named, and what to type", async () => {
  using disk = smallDisk.mount(1);
  await using world = new World();
  folders(disk.path, "locks", "coordinators");
  remount(disk, "ro");
  for (const words of [
    ["up", "--port", "0"],
    ["coordinator", "--port", "0"],
    ["-c", "http://127.0.0.1:9"],
  ]) {
    const { code, stderr } = await world.run(
      [...words, ...(words[0] === "coordinator" ? [] : ["-x", "test-executor"])],
      {
        env: inHome(disk.path),
      },
    );
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/state folder cannot be written: EROFS.*\n.*--state-dir/),
    ]);
  }
});

test.skipIf(!isRoot || Bun.which("setpriv") === null)(
  "after sudo -u USER, which leaves HOME to root, --state-dir is enough",
  async () => {
    await using world = new World();
    const stateDir = world.path("state");
    mkdirSync(stateDir, { mode: 0o700 });
    chownSync(stateDir, 54321, 54321);
    chmodSync(dirname(world.projectDir), 0o755);
    chmodSync(world.home, 0o700);
    const ended = Bun.spawnSync(
      [
        "setpriv --reuid=54321 --regid=54321 --clear-groups".split(" "),
        [BINARY, "up", "--port", "0", "-x", "test-executor", "--sample", "--once", "--state-dir", stateDir],
      ].flat(),
      { cwd: world.projectDir, env: { PATH: process.env["PATH"] ?? "", HOME: world.home }, timeout: START_MS },
    );
    expect([ended.exitCode, ended.stderr.toString()]).toEqual([0, ""]);
  },
);
