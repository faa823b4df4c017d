import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { COMMANDS } from "../../src/commands/command-table.ts";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import { BINARY } from "../harness/binary.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const USAGE_FAULTS: [string, string[], Record<string, string>, string][] = [
  ["-x and -e together", ["-x", "a", "-e", "b"], {}, "exclude each other"],
  ["a mistyped option", ["--coordinater-url", "http://localhost"], {}, "--coordinator-url"],
  ["a mistyped command", ["sumbit", "hello"], {}, "Did you mean submit?"],
  ["an option without its value", ["-c"], {}, "-c needs a value"],
  ["a value for a flag", ["--verbose=maybe"], {}, "--verbose takes no value"],
  ["a bad variable", ["-x", "test-executor"], { POLL_TIMEOUT: "abc" }, 'POLL_TIMEOUT (environment): "abc"'],
  ["a bad flag", ["-x", "test-executor", "--run-timeout", "soon"], {}, '--run-timeout: "soon"'],
  ["an invalid URL", ["-x", "test-executor", "-c", "localhost:8765"], {}, "--coordinator-url"],
  ["a missing settings file", ["-x", "test-executor", "--config", "nowhere.toml"], {}, "nowhere.toml does not exist"],
  ["submit without a prompt", ["submit"], {}, "PROMPT is missing"],
  ["submit with two prompts", ["submit", "say", "hello"], {}, "Put a text of several words in quotes"],
];
test.each(USAGE_FAULTS)("%s: exit code 2 with a message", async (_, args, env, expected) => {
  await using world = new World();
  const { code, stdout, stderr } = await world.run(args, { env });
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toContain(expected);
  expect(stderr).not.toContain("    at ");
});

test("a mistyped setting in the file: exit code 2, with the file and the nearest setting", async () => {
  await using world = new World();
  const file = world.path("own.toml");
  writeFileSync(file, "[runner]\nmax_concurent = 2\n");
  const { code, stderr } = await world.run(["-x", "test-executor", "--config", file]);
  expect(code).toBe(2);
  expect(stderr).toContain(
    `runner.max_concurent (${file}): there is no such setting; did you mean runner.max_concurrent?`,
  );
});

test("-x NAME without a command starts a runner, not a command NAME", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const runner = world.start(["-x", "test-executor", "-c", fake.url]);
  await runner.line(/Runner started/);
});

test.each(["", ...Object.keys(COMMANDS)])("%s --help: usage, options and examples, exit code 0", async (command) => {
  await using world = new World();
  const words = command === "" ? [] : [command];
  const { code, stdout, stderr } = await world.run([...words, "--help"]);
  expect([code, stderr]).toEqual([0, ""]);
  for (const part of ["USAGE", "OPTIONS", "EXAMPLES", `agent-runner ${command}`.trim()]) expect(stdout).toContain(part);
});

test("an executor path of the Python runner selects the built-in executor if the file does not exist", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue({ prompt: "good day" });
  world.start(["-c", fake.url, "-e", "executors/test-executor/ao-test-exec"]);
  await until("completed", () => run.status === "completed");
  expect(fake.calls("POST /runner/register")[0]?.body).toMatchObject({ executor_type: "test-executor" });
});

test("an executor that cannot run fails the start, with a hint", async () => {
  await using world = new World();
  const fixtures = join(import.meta.dir, "../fixtures/executors");
  const bad = await world.run(["-x", "bad-interpreter", "--executors-dir", fixtures]);
  expect(bad.code).toBe(1);
  expect(bad.stderr).toContain("/no/such/interpreter");
  const unknown = await world.run(["-x", "test-executer"]);
  expect(unknown.code).toBe(1);
  expect(unknown.stderr).toContain("Did you mean test-executor?");
});

test("a missing default executor fails the start", async () => {
  await using world = new World();
  const { code, stderr } = await world.run([], { env: { PATH: world.path("empty") } });
  expect(code).toBe(1);
  expect(stderr).toContain("claude-code");
});

test("--executor-list and doctor name the Claude Code and its version", async () => {
  await using world = new World();
  const claude = world.path("my-claude");
  writeFileSync(
    claude,
    '#!/bin/sh\ncase "$1" in --version) echo "2.1.330 (Claude Code)" ;; auth) echo \'{ "loggedIn": true }\' ;; esac\n',
    { mode: 0o755 },
  );
  const env = { CLAUDE_CODE_PATH: claude };
  expect((await world.run(["-l"], { env })).stdout).toMatch(
    new RegExp(`^claude-code +built-in +ready: Claude Code 2\\.1\\.330 at ${claude} `, "m"),
  );
  expect((await world.run(["doctor"], { env })).stdout).toContain(
    `ok    executor: claude-code (built-in) can run: Claude Code 2.1.330 at ${claude} `,
  );
  const broken = { CLAUDE_CODE_PATH: world.path("no-claude") };
  expect((await world.run(["-l"], { env: broken })).stdout).toMatch(
    /^claude-code .* cannot run: no Claude Code at .*no-claude: it does not exist; install it/m,
  );
});

test("--executor-list: executors of the folder and built-in ones, with the reason if one cannot run", async () => {
  await using world = new World();
  const fixtures = join(import.meta.dir, "../fixtures/executors");
  const { code, stdout } = await world.run(["-l", "--executors-dir", fixtures]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^test-executor +built-in +ready$/m);
  expect(stdout).toMatch(/^prints-hello .* ready$/m);
  expect(stdout).toMatch(/^bad-interpreter .* cannot run: .*\/no\/such\/interpreter/m);
});

test("--version: name, version and commit", async () => {
  await using world = new World();
  const { code, stdout } = await world.run(["--version"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^agent-runner \d+\.\d+\.\d+ \(.+\)\n$/);
});

test("coordinator: a port in use by another coordinator, and by another program", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const { port } = new URL(api.url);
  const second = await world.run(["coordinator", "--port", port]);
  expect(second.code).toBe(1);
  expect(second.stderr).toContain(`A coordinator is already running at ${api.url}`);
  expect(second.stderr).toContain(`agent-runner -c ${api.url}`);
  await using stranger = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Response("not found", { status: 404 }),
  });
  const third = await world.run(["coordinator", "--port", String(stranger.port)]);
  expect(third.code).toBe(1);
  expect(third.stderr).toContain(`Port ${stranger.port} is in use by another program`);
});

const LISTENING: [string, string[]][] = [
  ["coordinator", []],
  ["up", ["-x", "test-executor"]],
];
test.each(LISTENING)("%s: a state folder that cannot be created is an error with a hint", async (command, args) => {
  await using world = new World();
  writeFileSync(world.path("file"), "");
  const { code, stderr } = await world.run([command, ...args, "--port", "0", "--state-dir", world.path("file/state")]);
  expect(code).toBe(1);
  expect(stderr).toContain("--state-dir");
  expect(stderr).not.toContain("    at ");
});

test("up --host: its submit line has the address it listens on", async () => {
  await using world = new World();
  const up = world.start(["up", "-x", "test-executor", "--host", "127.0.0.2", "--port", "0"]);
  const [, url = ""] = await up.line(/agent-runner submit -c (\S+) --wait/);
  expect(new URL(url).hostname).toBe("127.0.0.2");
  expect((await world.run(["submit", "-c", url, "--wait", "good day"])).code).toBe(0);
});

test("coordinator: an address reachable from other machines needs a token", async () => {
  await using world = new World();
  const { code, stderr } = await world.run(["coordinator", "--no-token", "--host", "0.0.0.0", "--port", "0"]);
  expect(code).toBe(1);
  expect(stderr).toContain("needs a token");
});

test("up --sample --once: one run from start to end, exit code 0, and the command to start both", async () => {
  await using world = new World();
  const env = { CLAUDE_CODE_PATH: world.path("no-claude") };
  const { code, stdout } = await world.run(["up", "-x", "test-executor", "--port", "0", "--sample", "--once"], { env });
  expect(code).toBe(0);
  expect(stdout).toMatch(/The sample run run_\w+ completed. Its result:/);
  expect(stdout).not.toContain(" submit ");
  expect(stdout).toEndWith(`Next, start coordinator and runner:\n\n  ${BINARY} up -x test-executor\n\n`);
});

test("up --sample: a submit line that works in this terminal", async () => {
  await using world = new World();
  const up = world.start(["up", "-x", "test-executor", "--port", "0", "--sample"]);
  const [, line = ""] = await up.line(/^ {2}(.* submit -c \S+ --wait 'Hello')$/m);
  const env = { HOME: world.home, XDG_STATE_HOME: dirname(world.stateDir) };
  const shell = Bun.spawnSync(["sh", "-c", line], { cwd: world.projectDir, env });
  expect([shell.exitCode, shell.stdout.toString()]).toEqual([0, expect.stringContaining("Hello")]);
});

test("doctor: exit code 0 without faults, 1 with a list of them", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const healthy = await world.run(["doctor", "-x", "test-executor", "-c", api.url]);
  expect(healthy.stdout).not.toContain("FAULT");
  expect(healthy.code).toBe(0);
  mkdirSync(world.path("open"), { mode: 0o755 });
  const faulty = await world.run([
    "doctor",
    "-x",
    "nobody",
    "-c",
    "http://127.0.0.1:1",
    "-p",
    world.path("nowhere"),
    "--state-dir",
    world.path("open"),
  ]);
  expect(faulty.code).toBe(1);
  for (const name of ["coordinator", "executor", "project directory", "state folder"])
    expect(faulty.stdout).toContain(`FAULT ${name}`);
  const json = await world.run(["doctor", "--json", "-x", "test-executor", "-c", api.url]);
  expect((JSON.parse(json.stdout) as { ok: boolean }[]).every(({ ok }) => ok)).toBeTrue();
});
