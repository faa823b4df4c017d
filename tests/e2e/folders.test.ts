import { expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  lchownSync,
  linkSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { BINARY } from "../harness/binary.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const isRoot = process.getuid?.() === 0;
const NOBODY = 65534;
const isPosix = process.platform !== "win32";

type Prepare = (path: string, world: World) => void;

function write(path: string, text: string, mode = 0o644): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

function fifo(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  Bun.spawnSync(["mkfifo", path]);
}

/** Makes the file or folder that of another user. */
function give(path: string): void {
  lchownSync(path, NOBODY, NOBODY);
}

const STATE_FOLDERS: [string, boolean, string, Prepare][] = [
  ["that others can write", false, "it can be written by other users (mode 0777)", (dir) => chmodSync(dir, 0o777)],
  ["with the sticky bit", false, "it can be written by other users (mode 1777)", (dir) => chmodSync(dir, 0o1777)],
  [
    "below a folder that others can write",
    false,
    "project can be written by other users (mode 0777)",
    (_, world) => chmodSync(world.projectDir, 0o777),
  ],
  ["of another user", true, "it belongs to another user (uid 65534)", give],
  ["below a folder of another user", true, "project belongs to another user", (_, world) => give(world.projectDir)],
  [
    "with a link in place of the database",
    false,
    "coordinator.sqlite is not safe to use: it is a symbolic link",
    (dir, world) => symlinkSync(world.path("target"), join(dir, "coordinator.sqlite")),
  ],
  [
    "with a link to nothing in place of a token",
    false,
    "mcp-token is not safe to use: it is a symbolic link",
    (dir) => symlinkSync("/nowhere", join(dir, "mcp-token")),
  ],
  [
    "with a second name of a file",
    false,
    "coordinator.sqlite is not safe to use: it has a second name (a hard link)",
    (dir, world) => linkSync(world.path("target"), join(dir, "coordinator.sqlite")),
  ],
  [
    "with a file of another user",
    true,
    "journals/x.sqlite is not safe to use: it belongs to another user",
    (dir) => give(write(join(dir, "journals/x.sqlite"), "")),
  ],
  [
    "with a link of another user to a folder",
    true,
    "runs is not safe to use: it belongs to another user",
    (dir, world) => {
      symlinkSync(world.home, join(dir, "runs"));
      give(join(dir, "runs"));
    },
  ],
];

test.skipIf(!isPosix).each(STATE_FOLDERS)("a state folder %s is refused", async (_, needsRoot, fault, prepare) => {
  if (needsRoot && !isRoot) return;
  await using world = new World();
  const dir = world.path("state");
  mkdirSync(dir, { mode: 0o700 });
  write(world.path("target"), "kept", 0o644);
  prepare(dir, world);
  for (const command of [
    ["coordinator", "--port", "0", "--no-token"],
    ["-x", "test-executor"],
    ["up", "--port", "0"],
  ]) {
    const { code, stderr } = await world.run([...command, "--state-dir", dir]);
    expect([code, stderr]).toEqual([1, expect.stringContaining(fault)]);
    expect(stderr).toMatch(/chmod go-w|sudo chown|rm \/|--state-dir/);
  }
  const doctor = await world.run(["doctor", "-x", "test-executor", "--state-dir", dir]);
  expect(doctor.stdout).toContain(fault);
  expect([statSync(world.path("target")).mode & 0o777, readFileSync(world.path("target"), "utf8")]).toEqual([
    0o644,
    "kept",
  ]);
  chmodSync(world.projectDir, 0o755);
});

const GOOD_STATE_FOLDERS: [string, Prepare][] = [
  ["below a link of this user's own", (dir, world) => symlinkSync(world.home, join(dir, "..", "link"))],
  ["below a folder with the sticky bit", (_, world) => chmodSync(world.projectDir, 0o1777)],
  ["that others can read", (dir) => chmodSync(dir, 0o755)],
  [
    "whose folder of runs is elsewhere",
    (dir, world) => {
      mkdirSync(world.path("disk"));
      symlinkSync(world.path("disk"), join(dir, "runs"));
    },
  ],
];

test.skipIf(!isPosix).each(GOOD_STATE_FOLDERS)("a state folder %s is used", async (name, prepare) => {
  await using world = new World();
  const dir = world.path("state");
  mkdirSync(dir, { mode: 0o700 });
  prepare(dir, world);
  const used = name.includes("link") ? world.path("link/state/deep") : dir;
  const { stdout } = await world.run(["doctor", "-x", "test-executor", "--state-dir", used]);
  expect(stdout).not.toContain("not safe");
  await world.coordinator(0, ["--state-dir", used]);
  chmodSync(world.projectDir, 0o755);
});

test.skipIf(!isPosix)("--trusted-folders: the user vouches for a folder and what leads to it", async () => {
  await using world = new World();
  const dir = world.path("shared/state");
  mkdirSync(dir, { recursive: true });
  chmodSync(dir, 0o777);
  chmodSync(world.path("shared"), 0o777);
  if (isRoot) give(dir);
  const vouched = ["--state-dir", dir, "--trusted-folders", dir];
  await world.coordinator(0, vouched);
  const other = await world.run(["coordinator", "--port", "0", "--state-dir", dir, "--trusted-folders", world.home]);
  expect(other.stderr).toContain("is not safe to use");
  const byVariable = await world.run(["doctor", "-x", "test-executor", "--state-dir", dir], {
    env: { AGENT_RUNNER_TRUSTED_FOLDERS: "shared" },
  });
  expect(byVariable.stdout).not.toContain("not safe");
});

/** A user without an entry in /etc/passwd, whose group has the same number. */
const SOMEBODY = 54_321;

test.skipIf(!isRoot || Bun.which("setpriv") === null)(
  "a folder that the user's own group can write is used, one of a shared group is not",
  async () => {
    await using world = new World();
    const home = world.path("home");
    mkdirSync(home);
    const doctor = (gid: number): string => {
      chownSync(home, SOMEBODY, gid);
      chmodSync(home, 0o775);
      chmodSync(dirname(world.projectDir), 0o755);
      const as = ["setpriv", `--reuid=${SOMEBODY}`, `--regid=${SOMEBODY}`, "--clear-groups", BINARY];
      const words = ["doctor", "-x", "test-executor", "-p", home, "--state-dir", join(home, "state")];
      return Bun.spawnSync([...as, ...words], {
        env: { HOME: home, PATH: process.env["PATH"] ?? "" },
      }).stdout.toString();
    };
    expect(doctor(SOMEBODY)).toContain(`ok    state folder: ${join(home, "state")}`);
    expect(doctor(100)).toContain(`${home} can be written by other users (mode 0775)`);
  },
);

test.skipIf(!isRoot)("an executor that another user planted beside the binary is not run", async () => {
  await using world = new World();
  const folder = world.path("shared");
  mkdirSync(folder);
  chmodSync(folder, 0o1777);
  const binary = join(folder, "agent-runner");
  copyFileSync(BINARY, binary);
  const planted = write(
    join(folder, "executors/test-executor/ao-test-exec"),
    `#!/bin/sh\ntouch ${folder}/run\n`,
    0o755,
  );
  const env = { HOME: world.home, PATH: process.env["PATH"] ?? "" };
  const list = (): string => Bun.spawnSync([binary, "--executor-list"], { env }).stdout.toString();
  const line = /test-executor +\S+ +(.*)/;
  expect(line.exec(list())?.[1]).toBe("ready");
  for (const path of [planted, dirname(planted), join(folder, "executors")]) {
    give(path);
    expect(line.exec(list())?.[1]).toContain("belongs to another user (uid 65534)");
    const started = Bun.spawnSync([binary, "-x", "test-executor", "-c", "http://127.0.0.1:9"], { env });
    expect([started.exitCode, started.stderr.toString()]).toEqual([1, expect.stringContaining("is not safe to use")]);
    chownSync(path, 0, 0);
  }
  expect(() => statSync(join(folder, "run"))).toThrow();
});

test.skipIf(!isPosix)("executors: a folder or file that others can write is refused, by name and by path", async () => {
  await using world = new World();
  const file = write(world.path("executors/mine/ao-mine-exec"), "#!/bin/sh\n", 0o755);
  const options = ["--executors-dir", world.path("executors"), "-x", "mine", "-c", "http://127.0.0.1:9"];
  for (const [path, mode] of [
    [file, 0o777],
    [dirname(file), 0o1777],
    [world.path("executors"), 0o1777],
  ] as const) {
    const before = statSync(path).mode & 0o7777;
    chmodSync(path, mode);
    const { code, stderr } = await world.run(options);
    expect([code, stderr]).toEqual([1, expect.stringContaining(`chmod go-w ${path}`)]);
    chmodSync(path, before);
  }
  chmodSync(file, 0o777);
  expect((await world.run(["-e", file, "-c", "http://127.0.0.1:9"])).stderr).toContain(`chmod go-w ${file}`);
});

const SETTINGS_FILES: [string, string, (path: string) => void][] = [
  ["a FIFO", "it is a FIFO, not a regular file", fifo],
  ["a folder", "it is a folder, not a regular file", (path) => mkdirSync(path)],
  ["a link to an endless device", "it is a device, not a regular file", (path) => symlinkSync("/dev/zero", path)],
  ["a link to stdin", "not a regular file", (path) => symlinkSync("/dev/stdin", path)],
  ["a large file", "it is larger than 1048576 bytes", (path) => write(path, "#".repeat(1024 * 1024 + 1))],
  ["a file that others can write", "can be written by other users (mode 0666)", (path) => write(path, "", 0o666)],
];

test.skipIf(!isPosix).each(SETTINGS_FILES)("a settings file that is %s is refused", async (_, fault, prepare) => {
  await using world = new World();
  const path = world.path("settings.toml");
  prepare(path);
  const { code, stderr } = await world.run(["runs", "--config", path]);
  expect([code, stderr]).toEqual([2, expect.stringContaining(fault)]);
});

const GOOD = JSON.stringify({ description: "Good" });

const AGENTS: [string, boolean, string, Prepare][] = [
  ["a FIFO", false, "agent.json: it is a FIFO, not a regular file", (dir) => fifo(join(dir, "agent.json"))],
  [
    "a FIFO as system prompt",
    false,
    "agent.system-prompt.md: it is a FIFO",
    (dir) => (write(join(dir, "agent.json"), GOOD), fifo(join(dir, "agent.system-prompt.md"))),
  ],
  [
    "a FIFO as MCP servers",
    false,
    "agent.mcp.json: it is a FIFO",
    (dir) => (write(join(dir, "agent.json"), GOOD), fifo(join(dir, "agent.mcp.json"))),
  ],
  [
    "a linked system prompt",
    false,
    "agent.system-prompt.md is a link that leaves",
    (dir) => (write(join(dir, "agent.json"), GOOD), symlinkSync("/etc/shadow", join(dir, "agent.system-prompt.md"))),
  ],
  [
    "an endless device",
    false,
    "agent.json is a link that leaves",
    (dir) => (mkdirSync(dir), symlinkSync("/dev/zero", join(dir, "agent.json"))),
  ],
  [
    "a folder in place of the file",
    false,
    "agent.json: it is a folder",
    (dir) => mkdirSync(join(dir, "agent.json"), { recursive: true }),
  ],
  [
    "a linked folder",
    false,
    "is a link that leaves",
    (dir, world) => {
      write(world.path("elsewhere/agent.json"), GOOD);
      symlinkSync(world.path("elsewhere"), dir);
    },
  ],
  ["a file of another user", true, "belongs to another user", (dir) => give(write(join(dir, "agent.json"), GOOD))],
  ["too deep", false, "agent.json is nested too deeply", (dir) => write(join(dir, "agent.json"), "[".repeat(100_000))],
];

test.skipIf(!isPosix).each(AGENTS)(
  "an agent that is %s is broken, and the others work",
  async (_, needsRoot, fault, prepare) => {
    if (needsRoot && !isRoot) return;
    await using world = new World();
    const folder = world.path("agents");
    write(join(folder, "good/..data/agent.json"), GOOD);
    // As a ConfigMap of Kubernetes.
    symlinkSync("..data/agent.json", join(folder, "good/agent.json"));
    prepare(join(folder, "bad"), world);
    const { api, process } = await world.coordinator(0, ["--agents-dir", folder]);
    await process.line(new RegExp(`Agent bad in .* is broken.*${fault.replaceAll(".", "\\.")}`));
    const response = await fetch(`${api.url}/agents`, { keepalive: false });
    expect(await response.json()).toContainEqual(expect.objectContaining({ name: "good", description: "Good" }));
  },
);

test.skipIf(!isPosix)("a folder of agents that others can write is refused", async () => {
  await using world = new World();
  mkdirSync(world.path("agents"));
  chmodSync(world.path("agents"), 0o777);
  const { code, stderr } = await world.run(["coordinator", "--port", "0", "--agents-dir", world.path("agents")]);
  expect([code, stderr]).toEqual([1, expect.stringContaining(`chmod go-w ${world.path("agents")}`)]);
});

test.skipIf(!isPosix)("the name of a folder forges no line of a message", async () => {
  await using world = new World();
  const dir = world.path("a\nagent-runner: all is well\u001b]0;x\u0007");
  mkdirSync(dir);
  chmodSync(dir, 0o777);
  const { stderr } = await world.run(["coordinator", "--port", "0", "--state-dir", dir]);
  expect(stderr.split("\n")).toHaveLength(3);
  expect(stderr).toContain("a\\x0aagent-runner: all is well\\x1b]0;x\\x07");
});
