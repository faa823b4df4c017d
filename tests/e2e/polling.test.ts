import { expect, setDefaultTimeout, test } from "bun:test";
import { badGateway, type Behaviour, cutShort, dropAfter, dropBefore, garbage, refuse } from "../fakes/answers.ts";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const POLL = "GET /runner/runs";

test("a run is claimed, started and completed", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  world.runner(fake.url, "prints-hello");
  const run = fake.queue();
  await until("completed", () => run.status === "completed");
  expect(fake.reportsOf(run)).toEqual(["started", "completed"]);
});

const LOST: [string, Behaviour][] = [
  ["lost", dropAfter],
  ["cut short", cutShort],
];
test.each(LOST)("a claim whose poll answer is %s is found and executed once", async (_, behaviour) => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  fake.next(POLL, behaviour);
  const run = fake.queue();
  world.runner(fake.url, "prints-hello");
  await until("completed", () => run.status === "completed");
  const next = fake.queue();
  await until("the next one completed", () => next.status === "completed");
  expect(fake.reportsOf(run)).toEqual(["started", "completed"]);
});

const BAD: [string, Behaviour][] = [
  ["a dropped connection", dropBefore],
  ["HTML from a proxy", badGateway],
  ["invalid JSON", garbage],
  ["500", refuse(500)],
  ["409", refuse(409)],
  ["404", refuse(404)],
];
test.each(BAD)("a poll answered with %s is followed by another", async (_, behaviour) => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  fake.next(POLL, behaviour, behaviour);
  const run = fake.queue();
  world.runner(fake.url, "prints-hello");
  await until("completed", () => run.status === "completed");
});

test("at the limit no poll claims, and a stop takes effect", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const first = fake.queue();
  const second = fake.queue();
  world.runner(fake.url, "sleeps", ["--max-concurrent", "1"]);
  await world.file(`${first.run_id}.ready`);
  const polls = fake.calls(POLL).length;
  fake.state.stop(first);
  const startMs = performance.now();
  await until("stopped", () => first.status === "stopped");
  expect(second.runner_id === null || fake.calls(POLL).length > polls).toBeTrue();
  expect(fake.calls(POLL)[polls]?.at ?? Infinity).toBeGreaterThan(startMs);
  await world.file(`${second.run_id}.ready`);
});

test("runs that wait for their turn do not block other sessions", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const first = fake.queue();
  const waiting = [1, 2, 3].map(() => fake.queue({ type: "resume_session", session_id: first.session_id }));
  const other = fake.queue();
  world.runner(fake.url, "waits-for-release", ["--max-concurrent", "2"]);
  await world.file(`${other.run_id}.ready`);
  expect(waiting.map(({ status }) => status)).toEqual(["claimed", "claimed", "claimed"]);
  for (const run of [first, ...waiting, other]) await Bun.write(world.path(`${run.run_id}.release`), "0");
  await until("all completed", () => [first, ...waiting, other].every(({ status }) => status === "completed"));
});

test("a poll stays open for the coordinator's poll timeout, and the next follows at once", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start({ pollTimeoutSeconds: 0.5 }));
  world.runner(fake.url, "prints-hello", [], { POLL_TIMEOUT: "0.1" });
  await until("four polls", () => fake.calls(POLL).length >= 4);
  expect(fake.abandonedPolls).toBe(0);
  const polls = fake.calls(POLL);
  const pauses = polls.slice(1).map(({ at }, i) => at - (polls[i]?.answeredAt ?? 0));
  // A busy machine delays some of them.
  expect(Math.min(...pauses)).toBeLessThan(250);
});

test("a run delivered twice is executed once; after its end it is answered with its outcome", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  world.runner(fake.url, "waits-for-release");
  await world.file(`${run.run_id}.ready`);
  run.status = "pending";
  await until("delivered again", () => run.status === "claimed");
  await Bun.write(world.path(`${run.run_id}.release`), "0");
  await until("completed", () => run.status === "completed");
  run.status = "pending";
  await until("reported once more", () => fake.reportsOf(run).length > 2 && run.status === "completed");
  const next = fake.queue();
  await Bun.write(world.path(`${next.run_id}.release`), "0");
  await until("the next one completed", () => next.status === "completed");
  expect(fake.reportsOf(run)).toEqual(["started", "completed", "completed"]);
  expect(await world.file("order")).toBe([run, next].map(({ run_id }) => `begin ${run_id}\nend ${run_id}\n`).join(""));
});

test("an invalid run is reported failed, with the invalid field", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const bad = fake.queue({ extra: { type: "dance" } });
  const good = fake.queue();
  world.runner(fake.url, "prints-hello");
  await until("both ended", () => bad.status === "failed" && good.status === "completed");
  expect(bad.error).toContain("type");
});

test("a run id with a path outside the run folder is not executed", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const bad = fake.queue({ run_id: "../../evil" });
  const good = fake.queue();
  world.runner(fake.url, "records-invocation");
  await until("the good one completed", () => good.status === "completed");
  expect(fake.reportsOf(bad)).toEqual([]);
});

test("heartbeats have the coordinator's interval, or the user's", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start({ heartbeatIntervalSeconds: 0.3 }));
  const beats = (): number => fake.calls("POST /runner/heartbeat").length;
  world.runner(fake.url, "prints-hello");
  await until("three heartbeats", () => beats() >= 3);
  const [first, second] = fake.calls("POST /runner/heartbeat");
  expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThan(200);

  const slow = world.own(await FakeCoordinator.start({ heartbeatIntervalSeconds: 3600 }));
  world.runner(slow.url, "prints-hello", [], { HEARTBEAT_INTERVAL: "0.2" });
  await until("two heartbeats", () => slow.calls("POST /runner/heartbeat").length >= 2);
});
