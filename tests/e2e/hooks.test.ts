import { expect, setDefaultTimeout, test } from "bun:test";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import type { FakeRun } from "../fakes/fake-runs.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const POLL = "GET /runner/runs";
/** The coordinator's poll time-out with the margin that the runner gives it. */
const LATE_MS = 5_500;

/** A coordinator of the second generation that executes the hook `on_run_start` of the agent "guarded" in its polls. */
async function hookedWorld(more: { timeout_seconds?: number; on_error?: string } = {}, pollTimeoutSeconds = 0.5) {
  const world = new World();
  const fake = world.own(await FakeCoordinator.start({ generation: "second", pollTimeoutSeconds }));
  const hooks = { on_run_start: { type: "agent", agent_name: "guard", ...more } };
  fake.state.agents.set("guarded", { name: "guarded", description: "", system_prompt: "be kind", hooks });
  const word = Promise.withResolvers<"continue" | "block" | "never">();
  const parameters = { prompt: "changed by the hook" };
  fake.state.hooks.set("guarded", async () => ({ action: await word.promise, parameters }));
  const queue = (): FakeRun => fake.queue({ agent_name: "guarded" });
  return { world, fake, queue, say: word.resolve };
}

const promptOf = async (world: World, run: FakeRun): Promise<unknown> =>
  (JSON.parse(await world.file(`${run.run_id}.stdin`)) as { prompt: string }).prompt;

/** Waits until the runner has left a poll to its hook: another poll is open beside it. */
async function untilKept(fake: FakeCoordinator): Promise<void> {
  await until("a poll beside the one in the hook", () => {
    const [first] = fake.calls(POLL);
    return first?.answeredAt === undefined && fake.calls(POLL).length > 1;
  });
}

test("a run whose hook takes longer than a poll waits for the hook's word, and has its parameters", async () => {
  const { world, fake, queue, say } = await hookedWorld();
  await using _world = world;
  const run = queue();
  world.runner(fake.url, "records-invocation");
  await untilKept(fake);
  const other = fake.queue();
  await until("an unrelated run completed", () => other.status === "completed");
  expect(run.status).toBe("claimed");
  say("continue");
  await until("completed", () => run.status === "completed");
  expect(await promptOf(world, run)).toBe("changed by the hook");
  expect([fake.reportsOf(run), fake.abandonedPolls]).toEqual([["started", "completed"], 0]);
});

test("a run that its slow hook blocks is not executed, and the runner goes on", async () => {
  const { world, fake, queue, say } = await hookedWorld();
  await using _world = world;
  const run = queue();
  world.runner(fake.url, "records-invocation");
  await untilKept(fake);
  say("block");
  await until("blocked", () => run.status === "failed");
  const next = fake.queue();
  await until("the next one completed", () => next.status === "completed");
  expect([run.error, fake.reportsOf(run)]).toEqual(["Blocked by on_run_start hook: no", []]);
});

test("the hook's own agent runs on the runner whose poll waits for it", async () => {
  const { world, fake, queue } = await hookedWorld();
  await using _world = world;
  fake.state.hooks.set("guarded", async () => {
    const guard = fake.queue({ session_id: "hook_0123456789ab" });
    await until("the hook's run completed", () => guard.status === "completed");
    return { action: "continue" };
  });
  const run = queue();
  world.runner(fake.url, "records-invocation");
  await until("completed", () => run.status === "completed");
});

test("a hook is noticed long before the poll's time-out: another poll is open soon", async () => {
  const { world, fake, queue, say } = await hookedWorld({}, 600);
  await using _world = world;
  const run = queue();
  world.runner(fake.url, "records-invocation");
  await untilKept(fake);
  const other = fake.queue();
  await until("an unrelated run completed", () => other.status === "completed");
  say("continue");
  await until("completed", () => run.status === "completed");
  expect([await promptOf(world, run), fake.abandonedPolls]).toEqual(["changed by the hook", 0]);
});

test("a hook in a dead process's poll: no idle poll is given up, and each run is executed", async () => {
  const { world, fake, queue, say } = await hookedWorld({}, 600);
  await using _world = world;
  const run = queue();
  const first = world.runner(fake.url, "records-invocation");
  await until("claimed", () => run.status === "claimed");
  first.signal("SIGKILL");
  await first.exited;
  world.runner(fake.url, "records-invocation");
  await until("a poll beside the idle one", () => fake.calls(POLL).length > 2);
  const others = [fake.queue(), fake.queue(), fake.queue()];
  await until("the others completed", () => others.every(({ status }) => status === "completed"));
  say("continue");
  await until("completed", () => run.status === "completed");
  expect(await promptOf(world, run)).toBe("changed by the hook");
});

test("at the limit a poll in a hook counts as a run: nothing exceeds --max-concurrent", async () => {
  const { world, fake, queue, say } = await hookedWorld();
  await using _world = world;
  const run = queue();
  const other = fake.queue();
  const runner = world.runner(fake.url, "records-invocation", ["--max-concurrent", "1", "-v"]);
  await runner.line(/executes a hook in a poll/, LATE_MS * 4);
  expect([fake.calls(POLL).length, other.status]).toEqual([1, "pending"]);
  say("continue");
  await until("both completed", () => run.status === "completed" && other.status === "completed");
});

/** Kills the runner while its poll is in the hook, and starts it again. */
async function killedInTheHook(world: World, fake: FakeCoordinator, run: FakeRun): Promise<void> {
  const first = world.runner(fake.url, "records-invocation");
  await until("claimed", () => run.status === "claimed");
  first.signal("SIGKILL");
  await first.exited;
  world.runner(fake.url, "records-invocation");
}

test("a killed runner's poll is in a hook: the next process waits for the hook's word", async () => {
  const { world, fake, queue, say } = await hookedWorld();
  await using _world = world;
  const run = queue();
  await killedInTheHook(world, fake, run);
  const other = fake.queue();
  await until("an unrelated run completed", () => other.status === "completed");
  await until("more polls", () => fake.calls(POLL).length > 4);
  expect([run.status, fake.reportsOf(run)]).toEqual(["claimed", []]);
  say("continue");
  await until("completed", () => run.status === "completed");
  expect(await promptOf(world, run)).toBe("changed by the hook");
});

test("a killed runner's poll is in a hook that blocks: nothing is executed", async () => {
  const { world, fake, queue, say } = await hookedWorld();
  await using _world = world;
  const run = queue();
  await killedInTheHook(world, fake, run);
  await until("more polls", () => fake.calls(POLL).length > 3);
  say("block");
  await until("blocked", () => run.status === "failed");
  const next = fake.queue();
  await until("the next one completed", () => next.status === "completed");
  expect(fake.reportsOf(run)).toEqual([]);
});

test("a drained runner waits for the hook, and executes its run", async () => {
  const { world, fake, queue, say } = await hookedWorld();
  await using _world = world;
  const run = queue();
  const runner = world.runner(fake.url, "records-invocation");
  await untilKept(fake);
  runner.signal("SIGTERM");
  await runner.line(/Waiting for a hook/, LATE_MS * 4);
  say("continue");
  expect(await runner.exited).toBe(0);
  expect([run.status, fake.state.runners.size]).toEqual(["completed", 0]);
});
