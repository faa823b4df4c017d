import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, symlinkSync } from "node:fs";
import { zombiesOf } from "../../src/process/reap-orphans.ts";
import { freePort } from "../faults/free-port.ts";
import { CoordinatorApi } from "../harness/coordinator-api.ts";
import { BINARY, type StartedBinary } from "../harness/binary.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

async function kill(started: StartedBinary): Promise<void> {
  started.signal("SIGKILL");
  await started.exited;
}

test("up, killed and restarted on its port: takes its registration over and adopts its run at once", async () => {
  await using world = new World();
  const port = String(await freePort());
  const first = world.start(["up", "--no-token", "--port", port, "-x", "test-executor"]);
  const [, url = ""] = await first.line(/Connecting to Agent Coordinator at (\S+)/);
  await first.line(/Runner started/);
  const api = new CoordinatorApi(url);
  const run = await api.submit("!write ready yes\n!wait go-on\nhello");
  await world.file("ready");
  await kill(first);

  const second = world.start(["up", "--no-token", "--port", port, "-x", "test-executor"]);
  await second.line(/Registered as lnch_/);
  await second.line(new RegExp(`Adopted run ${run.run_id}, whose executor lives`));
  await second.line(/Runner started/);
  await Bun.write(world.path("go-on"), "");
  await api.reached(run.run_id, "completed");
  const next = await api.submit("once more");
  await api.reached(next.run_id, "completed");
});

test("a restart in another time zone, language and PATH adopts the run, and executes it once", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const start = (env: Record<string, string>): StartedBinary =>
    world.start(["-c", api.url, "-x", "test-executor"], { env });
  const first = start({ TZ: "Asia/Tokyo", LC_ALL: "de_DE.UTF-8", LANG: "ja_JP.UTF-8" });
  await first.line(/Runner started/);
  const run = await api.submit("!write ready yes\n!wait go-on\nhello");
  await world.file("ready");
  await kill(first);
  const second = start({
    TZ: "America/St_Johns",
    LC_ALL: "C",
    PATH: "/nowhere",
    PS_FORMAT: "pid",
    POSIXLY_CORRECT: "1",
  });
  await second.line(new RegExp(`Adopted run ${run.run_id}, whose executor lives`));
  await Bun.write(world.path("go-on"), "");
  await api.reached(run.run_id, "completed");
});

test("a runner killed and restarted with other tags gets the runs for the new tags", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const first = world.runner(api.url, "prints-hello", ["-t", "blue"]);
  await first.line(/Runner started/);
  const run = await api.submit("anything", { additional_demands: { tags: ["red"] } });
  await kill(first);
  const second = world.runner(api.url, "prints-hello", ["-t", "red"]);
  await second.line(/Registered as lnch_/);
  await api.reached(run.run_id, "completed");
  expect((await api.runs()).filter(({ status }) => status === "completed")).toHaveLength(1);
});

test("a restart with another spelling of the project directory is the same runner: it adopts the run", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const link = `${world.home}/link`;
  symlinkSync(world.projectDir, link);
  const runner = (path: string): StartedBinary =>
    world.start(["-c", api.url, "-x", "test-executor", "--project-dir", path]);
  let current = runner(world.projectDir);
  await current.line(/Runner started/);
  const run = await api.submit("!write ready yes\n!wait go-on\nhello");
  await world.file("ready");
  for (const path of [`${world.projectDir}/`, link, `${world.projectDir}/x/..`]) {
    await kill(current);
    current = runner(path);
    await current.line(/Registered as lnch_/);
    await current.line(new RegExp(run.run_id));
  }
  await Bun.write(world.path("go-on"), "");
  await api.reached(run.run_id, "completed");
});

test("a project directory that is no folder is a fault at the start", async () => {
  await using world = new World();
  await Bun.write(world.path("file"), "");
  for (const [command, path] of [
    ["up", "gone"],
    ["up", "file"],
    ["runner", "gone"],
  ] as const) {
    const words = command === "up" ? ["up", "--port", "0"] : ["-c", "http://127.0.0.1:9"];
    const ended = await world.run([...words, "-x", "test-executor", "-p", world.path(path)]);
    expect(ended.code).toBe(1);
    expect(ended.stdout + ended.stderr).toContain(`The project directory ${world.path(path)} is not a folder`);
  }
});

test("a state folder whose path is too long for its database is refused with the limit", async () => {
  await using world = new World();
  const path = `/tmp/${"a".repeat(200)}/${"b".repeat(200)}/${"c".repeat(54)}`;
  for (const words of [
    ["up", "--port", "0"],
    ["coordinator", "--port", "0"],
    ["-c", "http://127.0.0.1:9"],
  ]) {
    const executor = words[0] === "coordinator" ? [] : ["-x", "test-executor"];
    const { code, stderr } = await world.run([...words, ...executor, "--state-dir", path]);
    expect(code).toBe(1);
    expect(stderr).toContain("The path of the state folder has 461 bytes, and 460 is the limit");
  }
});

const hasNamespaces =
  process.platform === "linux" &&
  Bun.spawnSync(["unshare", "-pf", "--mount-proc", "true"], { stderr: "ignore" }).exitCode === 0;

test.if(hasNamespaces)("as PID 1 of a container the runner reaps orphans, and each run is reported", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const executor = `${world.home}/executors/own/ao-own-exec`;
  await Bun.write(executor, "#!/bin/sh\ncat >/dev/null\n(sleep 0.2 & exec sleep 0.1) &\nsleep 0.4\n");
  Bun.spawnSync(["chmod", "+x", executor]);
  // The namespace ends with its first process, and this end is not of the program.
  const namespace = ["unshare", "-pf", "--mount-proc", "--kill-child"];
  const words = [...namespace, BINARY, "-c", api.url, "-e", executor, "--keep-background"];
  const child = Bun.spawn(words, {
    cwd: world.projectDir,
    env: { HOME: world.home, PATH: process.env["PATH"] ?? "", XDG_STATE_HOME: `${world.home}/pid1` },
    stdout: "ignore",
    stderr: "ignore",
  });
  const inside = (): number =>
    Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").split(" ")[0]);
  try {
    const first = await api.submit("x");
    await api.reached(first.run_id, "completed");
    await until("a zombie", () => zombiesOf(inside()).length > 0);
    for (let i = 0; i < 2; i++) await api.reached((await api.submit("x")).run_id, "completed");
    await until("no zombies", () => zombiesOf(inside()).length === 0);
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
});
