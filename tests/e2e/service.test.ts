import { expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import { BINARY } from "../harness/binary.ts";
import { datagramSocket } from "../harness/datagram-socket.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const isLinux = process.platform === "linux";

/** A PATH with fakes of systemctl, loginctl and journalctl that record their calls. The tool `failing` fails. */
function fakeTools(world: World, failing?: string): { env: Record<string, string>; calls: () => string[] } {
  const folder = join(world.home, "tools");
  const record = join(world.home, "calls");
  mkdirSync(folder);
  for (const tool of ["systemctl", "loginctl", "journalctl"]) {
    writeFileSync(
      join(folder, tool),
      `#!/bin/sh\necho "${tool} $*" >> "${record}"\necho "${tool} says no" >&2\n[ "${tool}" != "${failing ?? ""}" ]\n`,
      { mode: 0o755 },
    );
  }
  return {
    env: { PATH: `${folder}:/usr/bin:/bin` },
    calls: () => (existsSync(record) ? readFileSync(record, "utf8").trim().split("\n") : []),
  };
}

test.if(isLinux)(
  "service install: writes the unit, creates a private environment file once, and starts the service",
  async () => {
    await using world = new World();
    const tools = fakeTools(world);
    const install = ["service", "install", "-x", "test-executor", "-p", ".", "--max-concurrent", "3"];
    const first = await world.run(install, { env: tools.env });
    expect(first).toMatchObject({ code: 0 });
    const unitPath = join(world.home, "config/systemd/user/agent-runner.service");
    const environmentPath = join(world.home, "config/agent-runner/agent-runner.env");
    const options = `--project-dir ${world.projectDir} --max-concurrent 3 --drain-timeout 60s`;
    const start = `ExecStart=${BINARY} --executor test-executor ${options}`;
    expect(readFileSync(unitPath, "utf8")).toContain(start);
    expect(statSync(environmentPath).mode & 0o777).toBe(0o600);
    expect(tools.calls()).toEqual([
      "systemctl --user daemon-reload",
      "systemctl --user enable agent-runner.service",
      "systemctl --user restart agent-runner.service",
      "loginctl enable-linger",
    ]);
    writeFileSync(environmentPath, "AGENT_COORDINATOR_TOKEN=mine\n");
    expect((await world.run(install, { env: tools.env })).code).toBe(0);
    expect(readFileSync(environmentPath, "utf8")).toBe("AGENT_COORDINATOR_TOKEN=mine\n");

    const removed = await world.run(["service", "uninstall"], { env: tools.env });
    expect(removed.stdout).toContain(`Kept ${environmentPath}`);
    expect(existsSync(unitPath)).toBe(false);
    expect(tools.calls().slice(-2)).toEqual([
      "systemctl --user disable --now agent-runner.service",
      "systemctl --user daemon-reload",
    ]);
  },
);

test.if(isLinux)("service install: a failing service manager is exit code 1 with its output", async () => {
  await using world = new World();
  const { code, stderr } = await world.run(["service", "install", "-x", "test-executor"], {
    env: fakeTools(world, "systemctl").env,
  });
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: "agent-runner: systemctl --user daemon-reload failed: systemctl says no\n",
  });
});

test("service install --print writes and starts nothing", async () => {
  await using world = new World();
  const tools = isLinux ? fakeTools(world) : { env: {}, calls: () => [] };
  const { code, stdout } = await world.run(["service", "install", "--print", "-x", "test-executor"], {
    env: tools.env,
  });
  expect(code).toBe(0);
  if (isLinux) expect(stdout).toContain("RestartKillSignal=SIGUSR2");
  expect(tools.calls()).toEqual([]);
  expect(existsSync(join(world.home, "config"))).toBe(false);
});

test.each([
  [["service"], "ACTION is missing"],
  [["service", "start"], 'ACTION: "start" is none of install, uninstall, status, logs'],
  [["service", "install", "--system"], "--system needs --run-as USER"],
  [["service", "install", "--run-as", "me"], "--run-as goes with --system"],
  [["service", "install", "--name", "../x"], '--name: "../x"'],
  [["service", "install", "--max-concurrent", "many"], "Bad setting: --max-concurrent"],
])("%p: exit code 2 with a message", async (args, message) => {
  await using world = new World();
  const { code, stderr } = await world.run(args);
  expect(stderr).toContain(message);
  expect(code).toBe(2);
});

test.if(isLinux)(
  "a runner under systemd reports ready, watchdog pings and stopping, and hides its variables from executors",
  async () => {
    await using world = new World();
    const fake = world.own(await FakeCoordinator.start());
    using socket = datagramSocket(join(world.home, "notify"));
    const messages: string[] = [];
    const receives = (text: string): Promise<boolean> =>
      until(`${text} among ${messages.join(" | ")}`, () => {
        messages.push(...socket.take());
        return messages.some((message) => message.includes(text));
      });
    const run = fake.queue();
    const runner = world.runner(fake.url, "records-invocation", [], {
      NOTIFY_SOCKET: socket.path,
      WATCHDOG_USEC: "200000",
    });
    await receives("READY=1");
    await receives("STATUS=Taking runs");
    await receives("WATCHDOG=1");
    await until("completed", () => run.status === "completed");
    expect(await world.file(`${run.run_id}.env`)).not.toMatch(/^(?:NOTIFY_SOCKET|WATCHDOG_)/m);
    runner.signal("SIGTERM");
    await receives("STOPPING=1");
    expect(await runner.exited).toBe(0);
  },
);

test.if(isLinux)("service install: a line feed in a folder or in PATH is refused, and nothing is written", async () => {
  await using world = new World();
  const bad = join(world.projectDir, "a\nExecStartPre=touch owned");
  mkdirSync(bad);
  const tools = fakeTools(world);
  for (const [words, env] of [
    [["-p", bad], tools.env],
    [["-p", bad, "--print"], tools.env],
    [["--state-dir", bad], tools.env],
    [["-p", `${world.projectDir}\\`], tools.env],
    [["--tags", "a\u2028b\u0085c"], tools.env],
    [["--system", "--run-as", "a%h"], tools.env],
    [[], { PATH: `${tools.env["PATH"]}:/x\nB=1` }],
  ] as const) {
    const refused = await world.run(["service", "install", "-x", "test-executor", ...words], { env });
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    expect(refused.stderr).toContain("cannot stand in the file of a service");
  }
  expect(existsSync(join(world.home, "config/systemd"))).toBe(false);
  expect(tools.calls()).toEqual([]);
});

test.if(isLinux && Bun.which("systemd-analyze") !== null)(
  "service install: systemd accepts the unit of a program and a project with odd names",
  async () => {
    await using world = new World();
    const odd = join(world.home, `odd $HOME \${X} %h ; * é [x]`);
    mkdirSync(odd);
    const binary = join(odd, "agent-runner");
    copyFileSync(BINARY, binary);
    const project = join(odd, `p"r'o`);
    mkdirSync(project);
    const install = [binary, "service", "install", "-x", "test-executor", "-p", project, "--tags", '%n,$x,"q",;,é'];
    const tools = fakeTools(world);
    const env = { ...tools.env, HOME: world.home, XDG_CONFIG_HOME: join(odd, "config") };
    const installed = Bun.spawnSync(install, { cwd: world.projectDir, env, stderr: "pipe" });
    expect([installed.exitCode, installed.stderr.toString()]).toEqual([0, ""]);
    const unit = join(odd, "config/systemd/user/agent-runner.service");
    // systemd names a program that is not there.
    const path = join(world.home, "agent-runner.service");
    copyFileSync(unit, path);
    const verified = Bun.spawnSync(["systemd-analyze", "verify", "--man=no", "--user", path], {
      env: { PATH: process.env["PATH"] ?? "", HOME: world.home, XDG_RUNTIME_DIR: world.home },
      stderr: "pipe",
    });
    const said = verified.stderr.toString().split("\n");
    expect([verified.exitCode, said.filter((line) => line.includes("agent-runner"))]).toEqual([0, []]);
  },
);
