import { expect, setDefaultTimeout, test } from "bun:test";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const SUSPENDED_MS = 3_000;

test.each(["stale", "removed"])(
  "a runner suspended until it counted as %s registers again, reports what ended meanwhile, and takes runs",
  async (how) => {
    await using world = new World();
    const fake = world.own(await FakeCoordinator.start({ heartbeatIntervalSeconds: 0.3 }));
    const [ended, running] = [fake.queue(), fake.queue()];
    const runner = world.runner(fake.url, "waits-for-release");
    for (const run of [ended, running]) await world.file(`${run.run_id}.ready`);

    runner.signal("SIGSTOP");
    await Bun.write(world.path(`${ended.run_id}.release`), "5");
    if (how === "stale") fake.state.markStale();
    else fake.state.runners.clear();
    // The runner's own clock must see the gap.
    await Bun.sleep(SUSPENDED_MS);
    expect(ended.status).toBe("running");
    runner.signal("SIGCONT");

    await until("the report", () => ended.status === "failed");
    await runner.line(/Registered again as lnch_/);
    const next = fake.queue();
    for (const run of [running, next]) await Bun.write(world.path(`${run.run_id}.release`), "0");
    for (const run of [running, next]) await until("the run to be completed", () => run.status === "completed");
    expect(fake.reportsOf(ended)).toEqual(["started", "failed"]);
    for (const run of [running, next]) expect(fake.reportsOf(run)).toEqual(["started", "completed"]);
    // The first poll after that may be one that stayed open. No abandoned poll is left that could claim a run.
    expect(fake.abandonedPolls).toBe(0);
  },
);
