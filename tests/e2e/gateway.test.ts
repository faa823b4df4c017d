import { expect, setDefaultTimeout, test } from "bun:test";
import type { FakeRun } from "../fakes/fake-runs.ts";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

/** The coordinator URL in the executor's environment. The test acts as the executor. */
async function apiOf(world: World, run: Pick<FakeRun, "run_id">): Promise<string> {
  await world.file(`${run.run_id}.ready`);
  return /^AGENT_ORCHESTRATOR_API_URL=(.*)$/m.exec(await world.file(`${run.run_id}.env`))?.[1] ?? "";
}

async function request(
  url: string,
  method = "GET",
  body?: unknown,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const options =
    body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const response = await fetch(url, { method, ...options });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function startRun(world: World): Promise<{ fake: FakeCoordinator; run: FakeRun; api: string }> {
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  world.runner(fake.url, "waits-for-release");
  return { fake, run, api: await apiOf(world, run) };
}

test("a wrong or missing token is 401; a token ends with its run", async () => {
  await using world = new World();
  const { run, api } = await startRun(world);
  const { origin } = new URL(api);
  expect((await request(`${origin}/wrong/sessions/${run.session_id}`)).status).toBe(401);
  expect((await request(`${origin}/sessions/${run.session_id}`)).status).toBe(401);
  expect((await request(`${api}/sessions/${run.session_id}`)).status).toBe(200);
  await Bun.write(world.path(`${run.run_id}.release`), "0");
  await until("completed", () => run.status === "completed");
  expect((await request(`${api}/sessions/${run.session_id}`)).status).toBe(401);
});

test("a run can bind, write and read its own session; bind names the executor", async () => {
  await using world = new World();
  const { fake, run, api } = await startRun(world);
  const own = `${api}/sessions/${run.session_id}`;
  expect((await request(`${own}/bind`, "POST", { executor_session_id: "x1" })).status).toBe(200);
  expect(fake.calls("POST /sessions/:id/bind")[0]?.body).toMatchObject({
    executor_session_id: "x1",
    executor_type: "waits-for-release",
    executor_profile: "waits-for-release",
  });
  expect(
    (
      await request(`${own}/events`, "POST", {
        event_type: "message",
        session_id: run.session_id,
        role: "user",
        content: [],
      })
    ).status,
  ).toBe(200);
  expect((await request(`${own}/metadata`, "PATCH", { agent_name: "a" })).status).toBe(200);
  expect((await request(`${api}/events`, "POST", { event_type: "note", session_id: run.session_id })).status).toBe(200);
  expect(fake.eventsOf(run).map(({ event_type }) => event_type)).toEqual(["message", "note"]);
});

test("an open stream ends with its run and with the coordinator, without log lines", async () => {
  await using world = new World();
  const { api, process } = await world.coordinator();
  const runner = world.runner(api.url, "waits-for-release");
  const [first, second] = [await api.submit("first"), await api.submit("second")];
  const read = async ({ run_id, session_id }: typeof first): Promise<string> => {
    const stream = await fetch(`${await apiOf(world, { run_id })}/sse/sessions?session_id=${session_id}`);
    expect(stream.status).toBe(200);
    await Bun.write(world.path(`${run_id}.open`), "yes");
    return stream.text().then(
      () => "ended",
      () => "cut off",
    );
  };
  const [ofFirst, ofSecond] = [read(first), read(second)];
  for (const { run_id } of [first, second]) await world.file(`${run_id}.open`);
  await Bun.write(world.path(`${first.run_id}.release`), "0");
  expect(await ofFirst).toBe("cut off");
  process.signal("SIGKILL");
  expect(await ofSecond).toBe("cut off");
  expect(runner.stderr()).toBe("");
  await world.coordinator(Number(new URL(api.url).port));
  await Bun.write(world.path(`${second.run_id}.release`), "0");
  await api.reached(second.run_id, "completed");
});

test("foreign sessions and the runners' endpoints are 403", async () => {
  await using world = new World();
  const { fake, run, api } = await startRun(world);
  const foreign = fake.queue();
  const refused: [string, string, unknown?][] = [
    ["POST", `/sessions/${foreign.session_id}/events`, { event_type: "message", session_id: foreign.session_id }],
    ["POST", "/events", { event_type: "message", session_id: foreign.session_id }],
    ["POST", `/sessions/${run.session_id}/events`, { event_type: "message", session_id: foreign.session_id }],
    ["GET", `/sessions/${foreign.session_id}`],
    ["POST", `/sessions/${foreign.session_id}/stop`],
    ["GET", `/runs/${foreign.run_id}`],
    ["POST", `/runs/${foreign.run_id}/stop`],
    ["POST", "/runs", { type: "resume_session", session_id: foreign.session_id, prompt: "mine now" }],
    ["DELETE", `/sessions/${run.session_id}`],
    ["GET", "/runner/runs?runner_id=lnch_0"],
    ["POST", "/runner/register", {}],
    ["POST", `/runner/runs/${run.run_id}/completed`, { runner_id: "lnch_0" }],
    ["DELETE", "/runners/lnch_0"],
    ["GET", "/runners"],
    ["POST", "/agents", { name: "a" }],
  ];
  const before = fake.calls("POST /runner/register").length;
  for (const [method, path, body] of refused)
    expect([path, (await request(api + path, method, body)).status]).toEqual([path, 403]);
  expect(fake.eventsOf(foreign)).toEqual([]);
  expect(fake.calls("POST /runner/register").length).toBe(before);
});

test("a run created by an executor has the executor's session as parent, despite parent_session_id", async () => {
  await using world = new World();
  const { fake, run, api } = await startRun(world);
  const created = await request(`${api}/runs`, "POST", {
    type: "start_session",
    prompt: "help",
    parent_session_id: "ses_of_somebody",
    execution_mode: "async_callback",
  });
  expect(created.status).toBe(200);
  expect(fake.calls("POST /runs")[0]?.body).toMatchObject({
    parent_session_id: run.session_id,
    execution_mode: "async_callback",
  });
  expect((await request(`${api}/runs/${String(created.body["run_id"])}`)).status).toBe(200);
  expect((await request(`${api}/sessions/${String(created.body["session_id"])}`)).status).toBe(200);
  for (const child of fake.state.runs.values()) await Bun.write(world.path(`${child.run_id}.release`), "0");
});

// The Python coordinator's database would stay locked.
test("a run with a parent unknown to the coordinator is refused by the gateway", async () => {
  await using world = new World();
  const { fake, run, api } = await startRun(world);
  fake.state.sessions.delete(run.session_id);
  expect((await request(`${api}/runs`, "POST", { type: "start_session", prompt: "help" })).status).toBe(409);
  expect(fake.calls("POST /runs")).toEqual([]);
});

test("lists contain only sessions and runs of the run's own tree", async () => {
  await using world = new World();
  const { fake, run, api } = await startRun(world);
  const foreign = fake.queue();
  await Bun.write(world.path(`${foreign.run_id}.release`), "0");
  const { body } = await request(`${api}/sessions`);
  expect((body["sessions"] as { session_id: string }[]).map(({ session_id }) => session_id)).toEqual([run.session_id]);
  const runs = (await request(`${api}/runs`)).body["runs"] as { run_id: string }[];
  expect(runs.map(({ run_id }) => run_id)).toEqual([run.run_id]);
});

test("a missing body or a body without a session is 400; an unreachable coordinator is 502", async () => {
  await using world = new World();
  const { fake, run, api } = await startRun(world);
  expect(await request(`${api}/bind`, "POST")).toEqual({ status: 400, body: { detail: "Request body required" } });
  expect(await request(`${api}/bind`, "POST", { executor_session_id: "x" })).toEqual({
    status: 400,
    body: { detail: "session_id required" },
  });
  expect(await request(`${api}/bind`, "POST", { session_id: run.session_id })).toEqual({
    status: 400,
    body: { detail: "executor_session_id required" },
  });
  await fake.down();
  const answer = await request(`${api}/sessions/${run.session_id}`);
  expect(answer.status).toBe(502);
  expect(answer.body["detail"]).toStartWith("Failed to connect to Agent Coordinator: ");
  await fake.up();
});
