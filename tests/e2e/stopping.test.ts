import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { type Behaviour, cutShort, dropAfter, handledAfter } from "../fakes/answers.ts";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import { isAlive } from "../harness/processes.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const POLL = "GET /runner/runs";
const STOPPED = "POST /runner/runs/:id/stopped";

test("a stop sends SIGTERM, and the report names the signal", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  world.runner(fake.url, "sleeps");
  await world.file(`${run.run_id}.ready`);
  fake.state.stop(run);
  await until("stopped", () => run.status === "stopped");
  expect(fake.calls(STOPPED)[0]?.body).toMatchObject({ signal: "SIGTERM" });
  expect(fake.reportsOf(run)).toEqual(["started", "stopped"]);
});

test("a stop of an executor that ignores SIGTERM: SIGKILL after 5 s, without delaying other runs", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const stubborn = fake.queue({ prompt: "!ignore-sigterm\n!write stubborn.ready\n!sleep 5m" });
  world.runner(fake.url, "test-executor");
  await world.file("stubborn.ready");
  const startMs = performance.now();
  fake.state.stop(stubborn);

  const meek = fake.queue({ prompt: "!write meek.ready\n!sleep 5m" });
  await world.file("meek.ready");
  fake.state.stop(meek);
  await until("the other is stopped", () => meek.status === "stopped");
  const third = fake.queue();
  await until("a third is completed", () => third.status === "completed");
  // On a very busy machine the five seconds may be over.
  if (performance.now() - startMs < 4_900) expect(stubborn.status).toBe("stopping");

  await until("stopped", () => stubborn.status === "stopped");
  expect(performance.now() - startMs).toBeGreaterThan(4_900);
  expect(fake.calls(STOPPED).find(({ id }) => id === stubborn.run_id)?.body).toMatchObject({ signal: "SIGKILL" });
});

test("a stop ends grandchildren, in the executor's group and escaped from it, before it is reported", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue({ prompt: "stay" });
  world.runner(fake.url, "leaves-grandchildren");
  await world.file(`${run.run_id}.ready`);
  const pids = ["in-group", "escaped"].map((name) => Number(readFileSync(world.path(`${run.run_id}.${name}`), "utf8")));
  expect(pids.map(isAlive)).toEqual([true, true]);
  fake.state.stop(run);
  await until("stopped", () => run.status === "stopped");
  expect(pids.map(isAlive)).toEqual([false, false]);
});

test("a stop of an unknown run is reported stopped only if its status is stopping", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const runner = world.runner(fake.url, "prints-hello");
  await runner.line(/Runner started/);
  const unknown = fake.queue();
  unknown.status = "running";
  fake.state.stop(unknown);
  await until("stopped", () => unknown.status === "stopped");

  const running = fake.queue();
  running.status = "running";
  fake.state.messages.push({ stop_runs: [running.run_id] });
  await until("the runner reads the run", () => fake.calls("GET /runs/:id").some(({ id }) => id === running.run_id));
  const next = fake.queue();
  await until("the next run completed", () => next.status === "completed");
  expect(running.status).toBe("running");
});

const LOST: [string, Behaviour][] = [
  ["lost", dropAfter],
  ["cut short", cutShort],
];
test.each(LOST)("a stop whose poll answer is %s is found and executed", async (_, behaviour) => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  const runner = world.runner(fake.url, "sleeps");
  await world.file(`${run.run_id}.ready`);
  fake.next(POLL, behaviour);
  const polls = fake.calls(POLL).length;
  await until("the poll whose answer will not arrive", () => fake.calls(POLL).length > polls);
  fake.state.stop(run);
  await until("stopped", () => run.status === "stopped");
  await runner.line(new RegExp(`Found a stop of run ${run.run_id} that never arrived`));
  expect(fake.reportsOf(run)).toEqual(["started", "stopped"]);
});

test("a stop that went to a dead process's poll is found and executed by the next process", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start({ pollTimeoutSeconds: 10 }));
  const run = fake.queue();
  const first = world.runner(fake.url, "sleeps");
  await world.file(`${run.run_id}.ready`);
  await until("a poll is open", () => fake.calls(POLL).at(-1)?.answeredAt === undefined);
  first.signal("SIGKILL");
  await first.exited;
  fake.state.stop(run);
  await until("the dead process's poll has taken the stop", () => fake.state.stops.length === 0);
  world.runner(fake.url, "sleeps");
  await until("stopped", () => run.status === "stopped");
  expect(fake.reportsOf(run)).toEqual(["started", "stopped"]);
});

test("two stops of an unknown run are reported once", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const runner = world.runner(fake.url, "prints-hello");
  await runner.line(/Runner started/);
  const unknown = fake.queue();
  unknown.status = "stopping";
  fake.state.messages.push({ stop_runs: [unknown.run_id, unknown.run_id] });
  await until("stopped", () => unknown.status === "stopped");
  const next = fake.queue();
  await until("the next run completed", () => next.status === "completed");
  expect(fake.reportsOf(unknown)).toEqual(["stopped"]);
});

test("a stop of an ended run changes nothing", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  world.runner(fake.url, "prints-hello");
  await until("completed", () => run.status === "completed");
  fake.state.messages.push({ stop_runs: [run.run_id] });
  const next = fake.queue();
  await until("the next run completed", () => next.status === "completed");
  expect(fake.reportsOf(run)).toEqual(["started", "completed"]);
});

test("a stop of a run that waits for its turn: reported stopped, never started", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const first = fake.queue();
  world.runner(fake.url, "waits-for-release");
  await world.file(`${first.run_id}.ready`);
  const second = fake.queue({ type: "resume_session", session_id: first.session_id });
  await until("claimed", () => second.status === "claimed");
  await fake.stop(second);
  await Bun.write(world.path(`${first.run_id}.release`), "0");
  await until("both ended", () => first.status === "completed" && second.status === "stopped");
  expect(fake.reportsOf(second)).toEqual(["stopped"]);
  expect(await world.file("order")).not.toContain(second.run_id);
});

test("a stop during the report started: nothing is spawned", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const acknowledge = Promise.withResolvers<void>();
  fake.next("POST /runner/runs/:id/started", handledAfter(acknowledge.promise));
  const run = fake.queue();
  world.runner(fake.url, "sleeps");
  await until("started is in flight", () => fake.calls("POST /runner/runs/:id/started").length === 1);
  await fake.stop(run);
  acknowledge.resolve();
  await until("stopped", () => fake.reportsOf(run).includes("stopped"));
  expect(fake.reportsOf(run)).toEqual(["started", "stopped"]);
  expect(await Bun.file(world.path(`${run.run_id}.ready`)).exists()).toBeFalse();
});

test("runs of one session execute in turn, in the order of their claims; other sessions do not wait", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const first = fake.queue();
  const second = fake.queue({ type: "resume_session", session_id: first.session_id });
  const third = fake.queue({ type: "resume_session", session_id: first.session_id });
  const other = fake.queue();
  world.runner(fake.url, "waits-for-release");
  for (const run of [other, third, second]) await Bun.write(world.path(`${run.run_id}.release`), "0");
  await until("the other session's run completed", () => other.status === "completed");
  expect([second.status, third.status]).toEqual(["claimed", "claimed"]);
  await Bun.write(world.path(`${first.run_id}.release`), "0");
  await until("all completed", () => third.status === "completed");
  const lines = (await world.file("order")).split("\n").filter((line) => !line.includes(other.run_id) && line !== "");
  expect(lines).toEqual([first, second, third].flatMap(({ run_id }) => [`begin ${run_id}`, `end ${run_id}`]));
});

test("--run-timeout: the run is stopped and reported failed, with the limit and the signal", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  world.runner(fake.url, "sleeps", ["--run-timeout", "400ms"]);
  await until("failed", () => run.status === "failed");
  expect(run.error).toContain("400 ms");
  expect(run.error).toContain("SIGTERM");
});
