import { expect, setDefaultTimeout, test } from "bun:test";
import { CoordinatorApi } from "../harness/coordinator-api.ts";
import type { StartedBinary } from "../harness/binary.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

async function kill(started: StartedBinary): Promise<void> {
  started.signal("SIGKILL");
  await started.exited;
}

test("up, killed and restarted on its port: takes its registration over and adopts its run at once", async () => {
  await using world = new World();
  const first = world.start(["up", "--no-token", "--port", "0", "-x", "test-executor"]);
  const [, url = ""] = await first.line(/Connecting to Agent Coordinator at (\S+)/);
  await first.line(/Runner started/);
  const api = new CoordinatorApi(url);
  const run = await api.submit("!write ready yes\n!wait go-on\nhello");
  await world.file("ready");
  await kill(first);

  const second = world.start(["up", "--no-token", "--port", new URL(url).port, "-x", "test-executor"]);
  await second.line(/Registered as lnch_/);
  await second.line(new RegExp(`Adopted run ${run.run_id}, whose executor lives`));
  await second.line(/Runner started/);
  await Bun.write(world.path("go-on"), "");
  await api.reached(run.run_id, "completed", 20_000);
  const next = await api.submit("once more");
  await api.reached(next.run_id, "completed");
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
