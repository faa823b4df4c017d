import { expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../faults/free-port.ts";
import type { StartedBinary } from "../harness/binary.ts";
import { START_MS, TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const isRoot = process.getuid?.() === 0;
const NOBODY = 65534;

async function up(
  world: World,
  args: readonly string[] = [],
  executor = "test-executor",
): Promise<{ url: string; port: string; started: StartedBinary }> {
  const started = world.start(["up", "--port", String(await freePort()), "-x", executor, ...args]);
  const [, url = ""] = await started.line(/Connecting to Agent Coordinator at (\S+)/, START_MS);
  await started.line(/Runner started/, START_MS);
  return { url, port: new URL(url).port, started };
}

function tokenOf(stateDir: string): string {
  return readFileSync(join(stateDir, "coordinator.token"), "utf8").trim();
}

async function statusOf(url: string, token?: string): Promise<number> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return (await fetch(`${url}/runs`, { headers, keepalive: false })).status;
}

test("up makes a token that nobody else can read; commands of the same user find it from any folder", async () => {
  await using world = new World();
  const { url, port } = await up(world);
  expect(await statusOf(url)).toBe(401);
  const token = tokenOf(world.stateDir);
  expect(await statusOf(url, token)).toBe(200);
  expect(statSync(join(world.stateDir, "coordinator.token")).mode & 0o777).toBe(0o600);
  expect(statSync(world.stateDir).mode & 0o777).toBe(0o700);
  for (const name of ["127.0.0.1", "localhost"]) {
    const { code, stdout } = await world.run(["submit", "-c", `http://${name}:${port}`, "--wait", "Hello"]);
    expect([code, stdout]).toEqual([0, expect.stringContaining("Hello")]);
  }
  expect((await world.run(["token", "-c", url])).stdout).toBe(`${token}\n`);
  expect((await world.run(["token"])).stdout).toBe(`${token}\n`);
  expect((await world.run(["doctor", "-x", "test-executor", "-c", url])).code).toBe(0);
});

test("the token outlives a restart, and each of two coordinators has its own", async () => {
  await using world = new World();
  const first = await up(world);
  const other = world.path("other-state");
  const second = await up(world, ["--state-dir", other, "-p", world.home]);
  expect(tokenOf(other)).not.toBe(tokenOf(world.stateDir));
  expect(await statusOf(second.url, tokenOf(world.stateDir))).toBe(401);
  // Without --state-dir: the notes are in the folder of the user.
  expect((await world.run(["runs", "-c", second.url])).code).toBe(0);
  expect((await world.run(["token", "-c", second.url])).stdout.trim()).toBe(tokenOf(other));
  first.started.signal("SIGKILL");
  await first.started.exited;
  const before = tokenOf(world.stateDir);
  const again = await up(world, ["--port", first.port]);
  expect(tokenOf(world.stateDir)).toBe(before);
  expect((await world.run(["runs", "-c", again.url])).code).toBe(0);
});

test("a runner that starts before its coordinator finds the token, and keeps up with a new one", async () => {
  await using world = new World();
  const port = String(await freePort());
  const first = world.start(["coordinator", "--port", port]);
  const [, url = ""] = await first.line(/agent-runner -c (\S+)/, START_MS);
  first.signal("SIGINT");
  await first.exited;
  const runner = world.start(["-c", `http://localhost:${port}`, "-x", "test-executor"]);
  await runner.line(/is away/);
  const second = world.start(["coordinator", "--port", port]);
  await runner.line(/Runner started/, START_MS);
  second.signal("SIGKILL");
  await second.exited;
  rmSync(join(world.stateDir, "coordinator.token"));
  const third = world.start(["coordinator", "--port", port]);
  await third.line(/agent-runner -c (\S+)/, START_MS);
  const { code, stdout } = await world.run(["submit", "-c", url, "--wait", "Hello"]);
  expect([code, stdout]).toEqual([0, expect.stringContaining("Hello")]);
});

test("another program on the coordinator's port, or on the other address of localhost, gets no token", async () => {
  await using world = new World();
  const { port, started } = await up(world);
  const seen: (string | null)[] = [];
  const listen = (hostname: string) =>
    Bun.serve({
      hostname,
      port: Number(port),
      fetch: ({ headers }) => (seen.push(headers.get("authorization")), Response.json({ runs: [] })),
    });
  {
    await using _other = listen("::1");
    expect((await world.run(["submit", "-c", `http://localhost:${port}`, "--wait", "Hello"])).code).toBe(0);
    expect((await world.run(["runs", "-c", `http://localhost:${port}`])).code).toBe(0);
    expect(seen).toEqual([]);
    await world.run(["runs", "-c", `http://[::1]:${port}`]);
    expect(seen).toEqual([null]);
  }
  started.signal("SIGKILL");
  await started.exited;
  await using _other = listen("127.0.0.1");
  await world.run(["runs", "-c", `http://127.0.0.1:${port}`]);
  expect(seen).toEqual([null, null]);
});

test("the link on stdout logs in once", async () => {
  await using world = new World();
  const { url, started } = await up(world);
  const [, code = ""] = await started.line(/Dashboard: http:\/\/127\.0\.0\.1:\d+\/#login=(\S+) /);
  const logIn = async (body: object): Promise<[number, unknown]> => {
    const response = await fetch(`${url}/login`, { method: "POST", body: JSON.stringify(body), keepalive: false });
    return [response.status, await response.json()];
  };
  expect(await logIn({ code: "guess" })).toEqual([401, expect.anything()]);
  expect(await logIn({ code })).toEqual([200, { token: tokenOf(world.stateDir) }]);
  expect(await logIn({ code })).toEqual([401, expect.anything()]);
  const { stdout } = await world.run(["token", "--link", "-c", url]);
  const [, next = ""] = /#login=(\S+)\n$/.exec(stdout) ?? [];
  expect((await logIn({ code: next }))[0]).toBe(200);
  const codes = await fetch(`${url}/login/codes`, { method: "POST", keepalive: false });
  expect(codes.status).toBe(401);
});

test("a link is in no journal of systemd, which other users can read", async () => {
  await using world = new World();
  const started = world.start(["up", "--port", "0", "-x", "test-executor"], { env: { JOURNAL_STREAM: "8:1" } });
  await started.line(/Dashboard: \S+ \(a link that logs in: \S+ token --link\)/, START_MS);
  expect(started.stdout()).not.toContain("#login=");
});

test("an executor gets the token in no argument, variable, invocation, log or event", async () => {
  await using world = new World();
  const executors = join(import.meta.dir, "../fixtures/executors");
  const { url, started } = await up(world, ["--executors-dir", executors], "runs-a-command");
  const token = tokenOf(world.stateDir);
  const show =
    "cat /proc/self/environ /proc/$PPID/environ /proc/$PPID/cmdline /proc/self/cmdline; env; ps -e -w -w -o args";
  await Bun.write(world.path("command"), `${show}; echo "the end"`);
  const { stdout } = await world.run(["submit", "-c", url, "--wait", "Show"]);
  expect(stdout).toContain("AGENT_ORCHESTRATOR_API_URL=");
  expect(stdout).toContain("the end");
  const { code } = await world.run(["runs", "-c", url, "--json"]);
  expect(code).toBe(0);
  const headers = { authorization: `Bearer ${token}` };
  const paths = ["/runs", "/sessions", "/runners", "/stats", "/openapi.json"];
  const answers = await Promise.all(
    paths.map(async (path) => (await fetch(url + path, { headers, keepalive: false })).text()),
  );
  const runs = filesIn(join(world.stateDir, "runs"));
  expect(runs.length).toBeGreaterThan(0);
  for (const text of [stdout, started.stdout(), started.stderr(), ...answers, ...runs])
    expect(text).not.toContain(token);
  for (const file of ["cmdline", "environ"])
    expect(readFileSync(`/proc/${started.pid}/${file}`, "latin1")).not.toContain(token);
});

function pathsIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function filesIn(folder: string): string[] {
  return pathsIn(folder).map((path) => readFileSync(path, "latin1"));
}

test("no file of the state folder is open to others, while a run goes and afterwards", async () => {
  await using world = new World();
  const { url } = await up(world);
  // A shell makes the start mark, which is empty.
  const readable = (): string[] =>
    pathsIn(world.stateDir).filter((path) => !/\/begun\.\d+$/.test(path) && (modeOf(path) & 0o077) !== 0);
  const { stdout } = await world.run(["submit", "-c", url, "--json", "!write ready yes\n!wait go-on"]);
  await world.file("ready");
  const during = pathsIn(world.stateDir);
  for (const name of ["coordinator.sqlite-wal", ".sqlite-shm", ".lock", "run.json", "stdout"])
    expect(during.filter((path) => path.endsWith(name))).not.toEqual([]);
  expect(readable()).toEqual([]);
  await Bun.write(world.path("go-on"), "");
  const { run_id } = JSON.parse(stdout) as { run_id: string };
  expect((await world.run(["logs", "-c", url, "--follow", run_id])).code).toBe(0);
  expect(readable()).toEqual([]);
});

/** 0 for a file that is gone by now. */
function modeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
}

test("--no-token: one line warns, and everybody may call", async () => {
  await using world = new World();
  const { url, started } = await up(world, ["--no-token"]);
  expect(await statusOf(url)).toBe(200);
  expect(started.stdout().match(/WARNING.*--no-token/g)).toHaveLength(1);
  const both = await world.run(["coordinator", "--no-token", "--port", "0"], {
    env: { AGENT_COORDINATOR_TOKEN: "0123456789abcdef" },
  });
  expect([both.code, both.stderr]).toEqual([2, expect.stringContaining("exclude each other")]);
});

const UNSAFE: [string, string, (stateDir: string) => void][] = [
  ["a folder that others can write", "it can be written by other users (mode 0777)", (dir) => chmodSync(dir, 0o777)],
  [
    "a link to a folder",
    "it is a symbolic link",
    (dir) => {
      rmSync(dir, { recursive: true });
      mkdirSync(`${dir}-2`, { mode: 0o700 });
      symlinkSync(`${dir}-2`, dir);
    },
  ],
  [
    "a file that others can read",
    "other users can open it (mode 0644)",
    (dir) => writeFileSync(join(dir, "coordinator.token"), "x".repeat(43), { mode: 0o644 }),
  ],
  ["a link to a file", "it is a symbolic link", (dir) => symlinkSync("/etc/hostname", join(dir, "coordinator.token"))],
  ["a link to nothing", "it is a symbolic link", (dir) => symlinkSync("/nowhere", join(dir, "coordinator.token"))],
  [
    "a folder in place of the file",
    "it is a folder, not a regular file",
    (dir) => mkdirSync(join(dir, "coordinator.token")),
  ],
  [
    "a FIFO in place of the file",
    "it is a FIFO, not a regular file",
    (dir) => void Bun.spawnSync(["mkfifo", "-m", "600", join(dir, "coordinator.token")]),
  ],
  [
    "a short token",
    "it holds no token of this program",
    (dir) => writeFileSync(join(dir, "coordinator.token"), "secret", { mode: 0o600 }),
  ],
  ["an empty file", "it is gone or empty", (dir) => writeFileSync(join(dir, "coordinator.token"), "", { mode: 0o600 })],
];
test.each(UNSAFE)("%s is refused: %s", async (_, fault, prepare) => {
  await using world = new World();
  const dir = world.path("state");
  mkdirSync(dir, { mode: 0o700 });
  prepare(dir);
  const { code, stderr } = await world.run(["coordinator", "--port", "0", "--state-dir", dir]);
  expect([code, stderr]).toEqual([1, expect.stringContaining(fault)]);
});

test.skipIf(!isRoot)("a folder, and a file, of another user are refused", async () => {
  await using world = new World();
  const dir = world.path("state");
  mkdirSync(dir, { mode: 0o700 });
  writeFileSync(join(dir, "coordinator.token"), "x".repeat(43), { mode: 0o600 });
  Bun.spawnSync(["chown", String(NOBODY), join(dir, "coordinator.token")]);
  const start = ["coordinator", "--port", "0", "--state-dir", dir];
  expect((await world.run(start)).stderr).toContain(`it belongs to another user (uid ${NOBODY})`);
  Bun.spawnSync(["chown", "-R", String(NOBODY), dir]);
  expect((await world.run(start)).stderr).toContain("is not safe to use: it belongs to another user");
});

test.skipIf(!isRoot || Bun.which("setpriv") === null)(
  "another user of the machine reads no token and creates no run",
  async () => {
    await using world = new World();
    const { url } = await up(world);
    const asNobody = (script: string) =>
      Bun.spawnSync([
        "setpriv",
        `--reuid=${NOBODY}`,
        `--regid=${NOBODY}`,
        "--clear-groups",
        "sh",
        "-c",
        script,
      ]).stdout.toString();
    expect(asNobody(`cat ${world.stateDir}/coordinator.token || echo refused`)).toBe("refused\n");
    expect(asNobody(`cat ${world.stateDir}/coordinators/* || echo refused`)).toBe("refused\n");
    const body = JSON.stringify({ type: "start_session", prompt: "!sh id" });
    const post = `curl -s -o /dev/null -w '%{http_code}' -d '${body}' -H 'content-type: application/json'`;
    expect(asNobody(`${post} ${url}/runs`)).toBe("401");
    expect(asNobody(`${post} ${url}/login/codes`)).toBe("401");
    expect((await world.run(["runs", "-c", url, "--json"])).stdout.trim()).toBe("[]");
  },
);
