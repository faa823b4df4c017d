import { expect, setDefaultTimeout, test } from "bun:test";
import { hostname } from "node:os";
import { refuse } from "../fakes/answers.ts";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import { AT_ONCE_MS, until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const REGISTER = "POST /runner/register";

test("the registration has the fields of both generations, without empty ones", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const runner = world.runner(fake.url, "prints-hello", ["-t", "gpu, linux"]);
  await runner.line(/Runner started/);
  expect(fake.calls(REGISTER)[0]?.body).toMatchObject({
    hostname: hostname(),
    project_dir: world.projectDir,
    executor_type: "prints-hello",
    executor_profile: "prints-hello",
    executor: { type: "autonomous" },
    tags: ["gpu", "linux"],
  });
});

test("409 after a crash: the runner reuses its registration at once, with a heartbeat, and executes runs", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const crashed = world.runner(fake.url, "prints-hello");
  await crashed.line(/Runner started/);
  crashed.signal("SIGKILL");
  await crashed.exited;
  const oldPolls = fake.calls("GET /runner/runs");
  const startMs = performance.now();
  const runner = world.runner(fake.url, "prints-hello");
  await runner.line(/Reusing the registration lnch_\w+ of an earlier process/);
  await runner.line(/Runner started/);
  expect(performance.now() - startMs).toBeLessThan(AT_ONCE_MS);
  expect(fake.calls("POST /runner/heartbeat").length).toBeGreaterThanOrEqual(1);
  expect(fake.calls(REGISTER).length).toBe(2);
  await until("the dead process's polls have ended", () =>
    oldPolls.every(({ answeredAt }) => answeredAt !== undefined),
  );
  const run = fake.queue();
  await until("completed", () => run.status === "completed");
});

test("409 for a runner on another machine: exit code 1", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  fake.next(
    REGISTER,
    refuse(409, {
      error: "duplicate_runner",
      message: "already online",
      runner_id: "lnch_0123456789ab",
      hostname: "elsewhere",
    }),
  );
  const runner = world.runner(fake.url, "prints-hello");
  expect(await runner.exited).toBe(1);
  expect(runner.stderr()).toContain("is online at");
});

test("a second runner with the same identity on this machine: exit code 1", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const first = world.runner(fake.url, "prints-hello");
  await first.line(/Runner started/);
  const second = world.runner(fake.url, "prints-hello");
  expect(await second.exited).toBe(1);
  expect(second.stderr()).toContain(`already running on this machine (pid ${first.pid})`);
  expect(fake.calls(REGISTER).length).toBe(1);
  const otherExecutor = world.runner(fake.url, "sleeps");
  await otherExecutor.line(/Runner started/);
});

test.each(["poll", "heartbeat"])("401 on a %s: the runner registers again and continues", async (where) => {
  await using world = new World();
  const isPoll = where === "poll";
  const fake = world.own(
    await FakeCoordinator.start({ heartbeatIntervalSeconds: isPoll ? 3600 : 0.2, pollTimeoutSeconds: isPoll ? 1 : 20 }),
  );
  const runner = world.runner(fake.url, "prints-hello");
  await runner.line(/Runner started/);
  // The fake answers an open poll with 401 at once. The poll must hang, so that the heartbeat gets the 401 first.
  if (!isPoll) fake.next("GET /runner/runs", () => new Promise(() => {}));
  await until("a poll", () => fake.calls("GET /runner/runs").length > 0);
  fake.state.runners.clear();
  await runner.line(/Registered again as lnch_/);
  const run = fake.queue();
  if (isPoll) await until("completed", () => run.status === "completed");
  expect(fake.state.runners.size).toBe(1);
});

test.each([
  [401, "refuses this runner's credentials"],
  [403, "does not allow this runner"],
  [404, "is not an Agent Coordinator"],
  [422, "refuses to register this runner"],
])("%i at the start: exit code 1 with a reason", async (status, reason) => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  fake.always(REGISTER, refuse(status));
  const runner = world.runner(fake.url, "prints-hello");
  expect(await runner.exited).toBe(1);
  expect(runner.stderr()).toContain(reason);
});

test("500 and 503 at the start are retried", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  fake.next(REGISTER, refuse(500), refuse(503));
  const runner = world.runner(fake.url, "prints-hello");
  await runner.line(/Runner started/);
});

test("a coordinator unreachable at the start is waited for, with one log line at either end", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const { url } = fake;
  await fake.down();
  const runner = world.runner(url, "prints-hello");
  await runner.line(/Agent Coordinator is away \(.*connection refused\)/);
  await fake.up();
  await runner.line(/Runner started/);
  expect(runner.stdout().match(/is away/g)?.length).toBe(1);
  expect(runner.stdout().match(/is back after/g)?.length).toBe(1);
});

test("a live runner with the same identity is not replaced, despite another home and host spelling", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const first = world.runner(api.url, "sleeps");
  await first.line(/waiting for runs/);
  const second = world.runner(api.url.replace("127.0.0.1", "localhost"), "sleeps", [], {
    HOME: world.path("other"),
    XDG_STATE_HOME: world.path("other/state"),
  });
  expect(await second.exited).toBe(1);
  expect(second.stderr()).toContain("is online at");
  const run = await api.submit("x");
  await world.file(`${run.run_id}.ready`);
  expect(first.stdout()).not.toContain("Deregistered");
});
