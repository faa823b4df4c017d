import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { processesWith } from "../harness/processes.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const pidsOf = (runId: string): number[] => processesWith("AGENT_RUN_ID", runId);

function damage(world: World, how: "damaged" | "deleted"): void {
  const folder = join(world.stateDir, "journals");
  for (const name of readdirSync(folder)) {
    // Removes the write-ahead log, which would repair the file.
    if (how === "deleted" || !name.endsWith(".sqlite")) rmSync(join(folder, name));
    else writeFileSync(join(folder, name), "this was a database once, and is no more");
  }
}

test.each(["damaged", "deleted"] as const)(
  "a journal that is %s: adopts live executors with their token, reports the ended ones, executes nothing twice",
  async (how) => {
    await using world = new World();
    const { api } = await world.coordinator();
    const talks = await api.submit("!write talks.ready yes\n!wait go-on\nhello");
    const first = world.runner(api.url, "test-executor");
    await world.file("talks.ready");
    const other = world.runner(api.url, "waits-for-release");
    const started = async (): Promise<{ run_id: string }> => {
      const run = await api.submit("anything", { additional_demands: { executor_type: "waits-for-release" } });
      await world.file(`${run.run_id}.ready`);
      return run;
    };
    // One after the other: the test checks the order of their starts below.
    const [lives, failed] = [await started(), await started()];
    for (const runner of [first, other]) {
      runner.signal("SIGKILL");
      await runner.exited;
    }
    await Bun.write(world.path(`${failed.run_id}.release`), "6");
    await until("its processes to end", () => pidsOf(failed.run_id).length === 0);
    damage(world, how);

    const next = world.runner(api.url, "waits-for-release");
    await api.reached(failed.run_id, "failed");
    expect((await api.run(failed.run_id)).error).toBe("Process exited with code 6");
    await next.line(new RegExp(`Adopted run ${lives.run_id}, whose executor lives`));
    expect(next.stdout()).toContain("Added 2 run(s) to the journal from their folders");
    if (how === "damaged") expect(next.stdout()).toMatch(/\[ERROR\].*cannot be used.*set aside as/);
    await Bun.write(world.path(`${lives.run_id}.release`), "0");
    await api.reached(lives.run_id, "completed");
    expect(await world.file("order")).toBe(
      `begin ${lives.run_id}\nbegin ${failed.run_id}\nend ${failed.run_id}\nend ${lives.run_id}\n`,
    );

    world.runner(api.url, "test-executor");
    await Bun.write(world.path("go-on"), "");
    await api.reached(talks.run_id, "completed");
    expect(await api.result(talks.session_id)).toContain("hello");
    expect((await api.events(talks.session_id)).filter(({ event_type }) => event_type === "session_stop")).toHaveLength(
      1,
    );
  },
);

test("a run that was reported before the journal was lost is not reported again", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const run = await api.submit("anything");
  const first = world.runner(api.url, "waits-for-release");
  await world.file(`${run.run_id}.ready`);
  const record = join(world.stateDir, "runs", run.run_id, "run.json");
  const kept = await Bun.file(record).text();
  await Bun.write(world.path(`${run.run_id}.release`), "5");
  await api.reached(run.run_id, "failed");
  first.signal("SIGKILL");
  await first.exited;
  damage(world, "deleted");
  writeFileSync(record, kept);
  const second = world.runner(api.url, "waits-for-release");
  await second.line(new RegExp(`The coordinator already knows how run ${run.run_id} ended`));
  await until("its record to be removed", async () => !(await Bun.file(record).exists()));
  expect((await api.run(run.run_id)).error).toBe("Process exited with code 5");
});
