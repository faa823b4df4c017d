import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { badGateway, type Behaviour, dropAfter, dropBefore, handledAfter, refuse } from "../fakes/answers.ts";
import { FakeCoordinator, type Route } from "../fakes/fake-coordinator.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const STARTED = "POST /runner/runs/:id/started";
const COMPLETED = "POST /runner/runs/:id/completed";

const FAILURES: [string, Behaviour][] = [
  ["dropped before it arrived", dropBefore],
  ["acknowledged on a lost connection", dropAfter],
  ["answered with 500", refuse(500)],
  ["answered with 502 and HTML", badGateway],
];
for (const route of [STARTED, COMPLETED, "POST /sessions/:id/events"] satisfies Route[]) {
  test.each(FAILURES)(`${route}: a request that is %s is retried until acknowledged`, async (name, behaviour) => {
    await using world = new World();
    const fake = world.own(await FakeCoordinator.start());
    fake.next(route, behaviour, behaviour);
    const run = fake.queue();
    world.runner(fake.url, "prints-hello");
    await until("the end", () => run.status === "completed");
    if (route === COMPLETED && name.startsWith("acknowledged")) {
      await until("a look at the run", () => fake.calls("GET /runs/:id").length > 0);
      expect(fake.calls(route)).toHaveLength(1);
      return;
    }
    await until("acknowledged", () => fake.reportsOf(run).includes("completed"));
    expect(fake.reportsOf(run)).toEqual(["started", "completed"]);
    expect(fake.calls(route).length).toBeGreaterThanOrEqual(3);
  });
}

test.each([
  ["first", "failed", "!fail no"],
  ["first", "stopped", "!sleep 10m"],
  ["second", "failed", "!fail no"],
  ["second", "stopped", "!sleep 10m"],
  ["second", "completed", "hello"],
] as const)("%s generation: a parent is told once that its child has %s, if the answer is lost", async (...row) => {
  const [generation, verb, prompt] = row;
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start({ generation }));
  fake.queue({ session_id: "parent" }).status = "completed";
  Object.assign(fake.state.sessions.get("parent") ?? {}, { status: "finished" });
  fake.next(`POST /runner/runs/:id/${verb}`, dropAfter);
  const run = fake.queue({ prompt, parent_session_id: "parent", execution_mode: "async_callback" });
  const runner = world.runner(fake.url, "test-executor");
  const resumes = (): string[] =>
    [...fake.state.runs.values()].filter(({ type }) => type === "resume_session").map(({ prompt: told }) => told);
  if (verb === "stopped") {
    await until("the executor works", () => fake.eventsOf(run).length > 0);
    await fake.stop(run);
  }
  await until("the look at the run", () => fake.calls("GET /runs/:id").some(({ id }) => id === run.run_id));
  await until("the resume of the parent", () => resumes().length > 0);
  runner.signal("SIGTERM");
  await runner.exited;
  expect(fake.calls(`POST /runner/runs/:id/${verb}`).filter(({ id }) => id === run.run_id)).toHaveLength(1);
  expect(resumes().join("").split("<agent-callback").length - 1).toBe(1);
});

test("started: a run with a revoked claim (409) is not spawned, and is executed after a new claim", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  fake.next(STARTED, refuse(409));
  const run = fake.queue();
  const runner = world.runner(fake.url, "prints-hello");
  await runner.line(/was revoked/);
  expect(fake.reportsOf(run)).toEqual([]);
  run.status = "pending";
  await until("completed", () => run.status === "completed");
  expect(fake.reportsOf(run)).toEqual(["started", "completed"]);
});

test("completed: if the coordinator forgot the runner (401), the runner registers again and then reports", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  world.runner(fake.url, "waits-for-release");
  await world.file(`${run.run_id}.ready`);
  fake.next("GET /runner/runs", () => new Promise(() => {}));
  await until("the poll that hangs", () =>
    fake.calls("GET /runner/runs").some(({ answeredAt }) => answeredAt === undefined),
  );
  fake.state.runners.clear();
  await Bun.write(world.path(`${run.run_id}.release`), "0");
  await until("completed", () => run.status === "completed");
  expect(fake.calls("POST /runner/register").length).toBe(2);
});

test("completed: if the coordinator forgot the run (404), the runner logs an error and does not retry", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  const runner = world.runner(fake.url, "waits-for-release");
  await world.file(`${run.run_id}.ready`);
  fake.state.runs.delete(run.run_id);
  await Bun.write(world.path(`${run.run_id}.release`), "0");
  await runner.line(new RegExp(`ERROR.*refused the report completed of run ${run.run_id}`));
  const next = fake.queue();
  await Bun.write(world.path(`${next.run_id}.release`), "0");
  await until("the next run completed", () => next.status === "completed");
  expect(fake.calls(COMPLETED).filter(({ id }) => id === run.run_id).length).toBe(1);
});

test("started: nothing is spawned before the acknowledgement, and completed comes after started", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const acknowledge = Promise.withResolvers<void>();
  fake.next(STARTED, handledAfter(acknowledge.promise));
  const run = fake.queue();
  world.runner(fake.url, "records-invocation");
  await until("started on its way", () => fake.calls(STARTED).length === 1);
  const other = fake.queue();
  await until("another run completed", () => other.status === "completed");
  expect(existsSync(world.path(`${run.run_id}.stdin`))).toBeFalse();
  acknowledge.resolve();
  await until("completed", () => run.status === "completed");
  expect(fake.reportsOf(run)).toEqual(["started", "completed"]);
});

test.each([404, 409])("started: a run with a revoked claim (%i) is neither executed nor reported", async (status) => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  fake.next(STARTED, refuse(status));
  const run = fake.queue();
  const runner = world.runner(fake.url, "records-invocation");
  await runner.line(/was revoked/);
  const next = fake.queue();
  await until("the next run completed", () => next.status === "completed");
  expect(existsSync(world.path(`${run.run_id}.stdin`))).toBeFalse();
  expect(fake.requests.filter(({ id }) => id === run.run_id).map(({ route }) => route)).toEqual([STARTED]);
});

test("a report that keeps failing delays no other run", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const stuck = fake.queue();
  fake.always(COMPLETED, refuse(500));
  world.runner(fake.url, "prints-hello");
  await until("two attempts", () => fake.calls(COMPLETED).length >= 2);
  fake.always(COMPLETED, null);
  fake.always(COMPLETED, async (handle) =>
    fake.calls(COMPLETED).at(-1)?.id === stuck.run_id ? refuse(500)(handle) : handle(),
  );
  const other = fake.queue();
  await until("the other completed", () => other.status === "completed");
  expect(stuck.status).toBe("running");
  fake.always(COMPLETED, null);
  await until("completed", () => stuck.status === "completed");
});

test("a plain script: its output becomes a message, then come session_stop and completed", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  world.runner(fake.url, "prints-hello");
  await until("completed", () => run.status === "completed");
  expect(fake.eventsOf(run)).toMatchObject([
    { event_type: "message", role: "assistant", content: [{ type: "text", text: "hello" }] },
    { event_type: "session_stop", exit_code: 0, reason: "completed" },
  ]);
  const routes = fake.requests
    .map(({ route }) => route)
    .filter((route) => route.startsWith("POST /runner/runs") || route.includes("events"));
  expect(routes).toEqual([STARTED, "POST /sessions/:id/events", "POST /sessions/:id/events", COMPLETED]);
});

test("session_stop is not sent again if the executor has sent it", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  world.runner(fake.url, "test-executor");
  await until("completed", () => run.status === "completed");
  const types = fake.eventsOf(run).map(({ event_type }) => event_type);
  expect(types.filter((type) => type === "session_stop").length).toBe(1);
  expect(types.at(-1)).toBe("session_stop");
});

test("session_stop alone is added if the executor has omitted it", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue({ prompt: "!no-session-stop\nhello" });
  world.runner(fake.url, "test-executor");
  await until("completed", () => run.status === "completed");
  const events = fake.eventsOf(run);
  expect(events.filter(({ event_type, role }) => event_type === "message" && role === "assistant").length).toBe(1);
  expect(events.at(-1)).toMatchObject({ event_type: "session_stop", exit_code: 0 });
});

test("a failed run gets no session_stop", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  world.runner(fake.url, "exits-3");
  await until("failed", () => run.status === "failed");
  expect(fake.eventsOf(run)).toEqual([]);
});
