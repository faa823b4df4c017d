import { expect, setDefaultTimeout, test } from "bun:test";
import { symlinkSync } from "node:fs";
import { CoordinatorApi } from "../harness/coordinator-api.ts";
import type { StartedBinary } from "../harness/binary.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

async function killed(started: StartedBinary): Promise<void> {
  started.signal("SIGKILL");
  await started.exited;
}

test("up, killed and started again on its port: it takes up its own registration and its run at once", async () => {
  await using world = new World();
  const first = world.start(["up", "--port", "0", "-x", "test-executor"]);
  const [, url = ""] = await first.line(/Connecting to Agent Coordinator at (\S+)/);
  await first.line(/Runner started/);
  const api = new CoordinatorApi(url);
  const run = await api.submit("!write ready yes\n!wait go-on\nhello");
  await world.file("ready");
  await killed(first);

  const second = world.start(["up", "--port", new URL(url).port, "-x", "test-executor"]);
  await second.line(/Reusing the registration lnch_\w+ of an earlier process/);
  await second.line(new RegExp(`Adopted run ${run.run_id}, whose executor lives`));
  await second.line(/Runner started/);
  await Bun.write(world.path("go-on"), "");
  await api.reached(run.run_id, "completed", 20_000);
  const next = await api.submit("once more");
  await api.reached(next.run_id, "completed");
});

test("a runner that is killed and started again with other tags gets the runs for those", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const first = world.runner(api.url, "prints-hello", ["-t", "blue"]);
  await first.line(/Runner started/);
  const run = await api.submit("anything", { additional_demands: { tags: ["red"] } });
  await killed(first);
  const second = world.runner(api.url, "prints-hello", ["-t", "red"]);
  await second.line(/Reusing the registration/);
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
    await killed(current);
    current = runner(path);
    await current.line(/Reusing the registration/);
    await current.line(new RegExp(run.run_id));
  }
  await Bun.write(world.path("go-on"), "");
  await api.reached(run.run_id, "completed", 20_000);
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
