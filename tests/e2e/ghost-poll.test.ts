import { expect, setDefaultTimeout, test } from "bun:test";
import type { Generation } from "../../src/protocol/poll.ts";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

/** The poll of the killed process would claim for nobody up to 30 s later: found within seconds, not at its end. */
const SOON_MS = 12_000;

/** A runner whose earlier process was killed while it polled, and whose own poll is open. */
async function killedAndRestarted(world: World, generation: Generation): Promise<FakeCoordinator> {
  const fake = world.own(await FakeCoordinator.start({ generation, pollTimeoutSeconds: 30 }));
  const first = world.runner(fake.url, "prints-hello");
  await first.line(/Runner started/);
  await until("the first poll", () => fake.calls("GET /runner/runs").length === 1);
  first.signal("SIGKILL");
  await first.exited;
  const second = world.runner(fake.url, "prints-hello");
  await second.line(/Reusing the registration/);
  await until("the second poll", () => fake.calls("GET /runner/runs").length === 2);
  return fake;
}

/** What the poll of the dead process does. */
function claimForNobody(fake: FakeCoordinator): ReturnType<FakeCoordinator["queue"]> {
  const [runnerId = ""] = fake.state.runners.keys();
  const run = fake.queue({ prompt: "x" });
  fake.state.claim(run, runnerId);
  return run;
}

test.each(["first", "second"] as const)(
  "the %s generation: a run that a dead process's poll claims is executed soon, and once",
  async (generation) => {
    await using world = new World();
    const fake = await killedAndRestarted(world, generation);
    for (let round = 0; round < 2; round++) {
      const run = claimForNobody(fake);
      await until("the run to complete", () => run.status === "completed", SOON_MS);
      expect(fake.reportsOf(run)).toEqual(["started", "completed"]);
    }
  },
);
