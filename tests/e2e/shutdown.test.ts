import { expect, setDefaultTimeout, test } from "bun:test";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import { processesWith } from "../harness/processes.ts";
import { AT_ONCE_MS, until } from "../harness/until.ts";
import { NOT_AN_ECHO_MS, TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const POLL = "GET /runner/runs";
const DELETE = "DELETE /runners/:id";
const STARTED_LINE = /Runner started/;

function openPolls(fake: FakeCoordinator): number {
  return fake.calls(POLL).filter(({ answeredAt, abandoned }) => answeredAt === undefined && abandoned !== true).length;
}

test("idle: one signal ends the open poll by the external DELETE; exit code 0 at once", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start({ pollTimeoutSeconds: 3600 }));
  const runner = world.runner(fake.url, "prints-hello");
  await until("an open poll", () => openPolls(fake) === 1);
  const startMs = performance.now();
  runner.signal("SIGTERM");
  expect(await runner.exited).toBe(0);
  expect(performance.now() - startMs).toBeLessThan(AT_ONCE_MS);
  expect(fake.calls(DELETE).map(({ query }) => query.toString())).toEqual([""]);
  expect(fake.abandonedPolls).toBe(0);
  expect(fake.state.runners.size).toBe(0);
});

test("idle: a run claimed during the shutdown is executed and reported before the runner exits", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start({ pollTimeoutSeconds: 3600 }));
  const runner = world.runner(fake.url, "prints-hello");
  await until("an open poll", () => openPolls(fake) === 1);
  let late: ReturnType<FakeCoordinator["queue"]> | undefined;
  fake.next(DELETE, async (handle) => {
    late = fake.queue();
    await until("claimed by the open poll", () => late?.status !== "pending");
    return handle();
  });
  runner.signal("SIGINT");
  expect(await runner.exited).toBe(0);
  expect(late?.status).toBe("completed");
  expect(fake.abandonedPolls).toBe(0);
  expect(fake.calls(POLL).length).toBe(1);
  expect(fake.calls(DELETE).at(-1)?.query.get("self")).toBe("true");
});

test("draining: runs continue, a late claim is executed, no other poll claims, self=true comes last", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start({ pollTimeoutSeconds: 3600 }));
  const first = fake.queue();
  const runner = world.runner(fake.url, "waits-for-release");
  await world.file(`${first.run_id}.ready`);
  await until("an open poll", () => openPolls(fake) === 1);
  const polls = fake.calls(POLL).length;
  runner.signal("SIGINT");
  await runner.line(/Shutting down: waiting for 1 run/);
  const late = fake.queue();
  await world.file(`${late.run_id}.ready`);
  expect(openPolls(fake)).toBe(0);
  const never = fake.queue();
  for (const run of [late, first]) {
    await Bun.write(world.path(`${run.run_id}.release`), "0");
    await until("completed", () => run.status === "completed");
  }
  expect(await runner.exited).toBe(0);
  expect(never.status).toBe("pending");
  expect(fake.calls(POLL).length).toBe(polls);
  expect(fake.abandonedPolls).toBe(0);
  expect(fake.requests.at(-1)?.route).toBe(DELETE);
  expect(fake.requests.at(-1)?.query.get("self")).toBe("true");
});

test("draining: a stop still takes effect", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start({ pollTimeoutSeconds: 0.5 }));
  const run = fake.queue();
  const runner = world.runner(fake.url, "sleeps");
  await world.file(`${run.run_id}.ready`);
  runner.signal("SIGINT");
  await runner.line(/Shutting down/);
  await until("no open poll", () => openPolls(fake) === 0);
  fake.state.stop(run);
  expect(await runner.exited).toBe(0);
  expect(run.status).toBe("stopped");
});

test("two signals: runs are stopped and reported stopped, and the runner exits with 0", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  const runner = world.runner(fake.url, "sleeps");
  await world.file(`${run.run_id}.ready`);
  runner.signal("SIGINT");
  await runner.line(/Shutting down/);
  await Bun.sleep(NOT_AN_ECHO_MS);
  runner.signal("SIGINT");
  expect(await runner.exited).toBe(0);
  expect(fake.reportsOf(run)).toEqual(["started", "stopped"]);
  expect(fake.state.runners.size).toBe(0);
});

test("two signals within 100 ms count as one", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  const runner = world.runner(fake.url, "waits-for-release");
  await world.file(`${run.run_id}.ready`);
  runner.signal("SIGINT");
  runner.signal("SIGTERM");
  await runner.line(/Shutting down/);
  await Bun.write(world.path(`${run.run_id}.release`), "0");
  expect(await runner.exited).toBe(0);
  expect(fake.reportsOf(run)).toEqual(["started", "completed"]);
});

test("three signals: exit code 130 at once, without leftovers", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  const runner = world.runner(fake.url, "ignores-sigterm");
  await world.file(`${run.run_id}.ready`);
  runner.signal("SIGINT");
  await runner.line(/Shutting down/);
  await Bun.sleep(NOT_AN_ECHO_MS);
  runner.signal("SIGINT");
  await runner.line(/Stopping 1 run/);
  await Bun.sleep(NOT_AN_ECHO_MS);
  runner.signal("SIGINT");
  expect(await runner.exited).toBe(130);
  await until("no process of the run", () => processesWith("AGENT_RUN_ID", run.run_id).length === 0);
});

test("--drain-timeout: runs that take longer are stopped", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  const runner = world.runner(fake.url, "sleeps", ["--drain-timeout", "300ms"]);
  await world.file(`${run.run_id}.ready`);
  runner.signal("SIGINT");
  expect(await runner.exited).toBe(0);
  expect(fake.reportsOf(run)).toEqual(["started", "stopped"]);
});

test("--max-offline: a longer outage stops the runs and the runner, with exit code 4", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const idle = world.runner(fake.url, "prints-hello", ["--max-offline", "300ms"]);
  await idle.line(STARTED_LINE);
  await fake.down();
  expect(await idle.exited).toBe(4);
  expect(idle.stdout()).toContain("giving up");
  const never = world.runner(fake.url, "prints-hello", ["--max-offline", "300ms"]);
  expect(await never.exited).toBe(4);
});

test("deregistered by a client, idle: exit code 0, and the runner sends no DELETE", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const runner = world.runner(fake.url, "prints-hello");
  await until("an open poll", () => openPolls(fake) === 1);
  const [runnerId = ""] = fake.state.runners.keys();
  fake.state.deregister(runnerId, false);
  expect(await runner.exited).toBe(0);
  expect(fake.calls(DELETE)).toEqual([]);
});

test("deregistered by a client with a run in flight: the run completes, and no registration remains", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  const runner = world.runner(fake.url, "waits-for-release");
  await world.file(`${run.run_id}.ready`);
  await until("an open poll", () => openPolls(fake) === 1);
  const [runnerId = ""] = fake.state.runners.keys();
  fake.state.deregister(runnerId, false);
  await runner.line(/Deregistered by the coordinator: waiting for 1 run/);
  await Bun.write(world.path(`${run.run_id}.release`), "0");
  expect(await runner.exited).toBe(0);
  expect(run.status).toBe("completed");
  expect(fake.state.runners.size).toBe(0);
});

test("SIGHUP (a closed terminal) drains like Ctrl+C: the run is watched to its end", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const runner = world.runner(api.url, "waits-for-release");
  const run = await api.submit("x");
  await world.file(`${run.run_id}.ready`);
  runner.signal("SIGHUP");
  await runner.line(/waiting for 1 run/);
  await Bun.write(world.path(`${run.run_id}.release`), "0");
  expect(await runner.exited).toBe(0);
  expect((await api.run(run.run_id)).status).toBe("completed");
});

test("up --sample exits when interrupted before its sample run is claimed", async () => {
  await using world = new World();
  const up = world.start(["up", "-x", "test-executor", "--port", "0", "--sample", "--max-concurrent", "1"]);
  await up.line(/waiting for runs/);
  up.signal("SIGINT");
  await up.exited;
});

test.each(["SIGHUP", "SIGINT"] as const)(
  "a %s that was ignored at the start (nohup, a background job) stays ignored",
  async (signal) => {
    await using world = new World();
    const { api } = await world.coordinator();
    const runner = world.start(["-c", api.url, "-x", "test-executor"], { shell: `trap '' ${signal.slice(3)}` });
    await runner.line(/Registered/);
    runner.signal(signal);
    const run = await api.submit("x");
    await until("completed", async () => (await api.run(run.run_id)).status === "completed");
    expect(runner.stdout()).not.toMatch(/waiting for \d/);
    runner.signal("SIGTERM");
    expect(await runner.exited).toBe(0);
  },
);

test("coordinator: a SIGHUP that was ignored at the start stays ignored", async () => {
  await using world = new World();
  const coordinator = world.start(["coordinator", "--port", "0"], { shell: "trap '' HUP" });
  await coordinator.line(/agent-runner -c (\S+)/);
  coordinator.signal("SIGHUP");
  coordinator.signal("SIGTERM");
  expect(await coordinator.exited).toBe(0);
  expect(coordinator.stdout().match(/Shutting down/g)).toHaveLength(1);
});
