import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, renameSync } from "node:fs";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const CANNOT = /This machine cannot run the executor \(.*\): taking no runs until it can/g;

test.each(["the executor", "the project directory"])(
  "%s that goes away costs no run, and is told once",
  async (what) => {
    await using world = new World();
    const folder = `${world.home}/executors/own`;
    const project = `${world.home}/mount`;
    mkdirSync(folder, { recursive: true });
    mkdirSync(project);
    await Bun.write(`${folder}/ao-own-exec`, "#!/bin/sh\ncat >/dev/null\n");
    chmodSync(`${folder}/ao-own-exec`, 0o755);
    const { api } = await world.coordinator();
    const broken = world.start(["-c", api.url, "-e", `${folder}/ao-own-exec`, "-p", project]);
    await broken.line(/Runner started/);
    const lost = what === "the executor" ? folder : project;
    renameSync(lost, `${lost}.gone`);
    const runs = await Promise.all(Array.from({ length: 6 }, () => api.submit("x", { project_dir: world.projectDir })));
    await broken.line(CANNOT);
    const states = (await api.runs()).map(({ status }) => status);
    expect(states.filter((status) => status !== "pending" && status !== "claimed")).toEqual([]);
    renameSync(`${lost}.gone`, lost);
    await broken.line(/This machine can run the executor again/);
    for (const { run_id } of runs) await api.reached(run_id, "completed");
    expect(broken.stdout().match(CANNOT)).toHaveLength(1);
  },
);

describe.each(["first", "second"] as const)(
  "a coordinator of the %s generation, which takes no run back",
  (generation) => {
    async function broken(
      world: World,
      script: string,
    ): Promise<{ fake: FakeCoordinator; path: string; line: Started }> {
      const fake = world.own(await FakeCoordinator.start({ generation }));
      mkdirSync(`${world.home}/executors/own`, { recursive: true });
      const path = `${world.home}/executors/own/ao-own-exec`;
      await Bun.write(path, script);
      chmodSync(path, 0o755);
      const started = world.start(["-c", fake.url, "-e", path]);
      await started.line(/Runner started/);
      return { fake, path, line: (pattern) => started.line(pattern) };
    }

    test("a claimed run waits for the machine", async () => {
      await using world = new World();
      const { fake, path, line } = await broken(world, "#!/bin/sh\ncat >/dev/null\n");
      renameSync(path, `${path}.gone`);
      const run = fake.queue({ prompt: "x" });
      await line(CANNOT);
      expect(fake.reportsOf(run)).toEqual([]);
      renameSync(`${path}.gone`, path);
      await until("the run to complete", () => run.status === "completed", 60_000);
      expect(fake.reportsOf(run)).toEqual(["started", "completed"]);
    });

    test("an executor that says that the machine cannot fails one run, with its reason", async () => {
      await using world = new World();
      const { fake, line } = await broken(world, "#!/bin/sh\necho 'nobody is logged in' >&2\nexit 78\n");
      const runs = [fake.queue({ prompt: "x" }), fake.queue({ prompt: "y" }), fake.queue({ prompt: "z" })];
      await line(CANNOT);
      await until("the report", () => runs.some(({ status }) => status === "failed"));
      const failed = runs.filter(({ status }) => status === "failed");
      expect(failed[0]?.error).toContain("nobody is logged in");
      expect(fake.reportsOf(failed[0] ?? fail())).toEqual(["started", "failed"]);
    });
  },
);

type Started = (pattern: RegExp) => Promise<unknown>;
function fail(): never {
  throw new Error("no run failed");
}
