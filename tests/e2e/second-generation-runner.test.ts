import { expect, setDefaultTimeout, test } from "bun:test";
import { call, registrationOf, required } from "../fakes/python-runner.ts";
import type { CoordinatorApi } from "../harness/coordinator-api.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const IDENTITY = registrationOf("second");

type Json = Readonly<Record<string, unknown>>;

/** A Python runner of the second generation that polls when the test says so. */
class SteppedRunner {
  readonly got: Json[] = [];
  readonly stopped: string[] = [];
  constructor(
    readonly url: string,
    readonly runnerId: string,
  ) {}

  static async register(url: string, more: object = {}): Promise<SteppedRunner> {
    const answer = await call(url, "/runner/register", { ...IDENTITY, ...more });
    expect(answer.status).toBe(200);
    return new SteppedRunner(url, required(answer.body, "runner_id"));
  }

  async pollOnce(ending: "completed" | "none" = "completed"): Promise<void> {
    const { body } = await call(this.url, `/runner/runs?runner_id=${this.runnerId}`);
    if ("stop_sessions" in body) return void this.stopped.push(...required<string[]>(body, "stop_sessions"));
    if (!("run" in body)) return;
    const run = required<Json>(body, "run");
    for (const key of ["parameters", "scope", "resolved_agent_blueprint"]) required(run, key);
    this.got.push(run);
    await this.report(run, "started");
    if (ending === "completed") await this.report(run, "completed", { status: "success", session_status: "finished" });
  }

  async report(run: Json, verb: string, more: object = {}): Promise<void> {
    const { status } = await call(this.url, `/runner/runs/${required<string>(run, "run_id")}/${verb}`, {
      runner_id: this.runnerId,
      ...more,
    });
    expect(status).toBe(200);
  }
}

async function worldWithPython(world: World): Promise<{ api: CoordinatorApi; runner: SteppedRunner }> {
  const { api } = await world.coordinator();
  return { api, runner: await SteppedRunner.register(api.url) };
}

test("a runner of the second generation gets runs and stops in its form", async () => {
  await using world = new World();
  const { api, runner } = await worldWithPython(world);
  await api.createAgent({
    name: "helper",
    description: "d",
    system_prompt: "You are ${runtime.session_id}, for ${params.prompt}",
    mcp_servers: {
      own: { type: "http", url: "${AGENT_ORCHESTRATOR_MCP_URL}", headers: { "X-Id": "${AGENT_SESSION_ID}" } },
    },
  });
  const { run_id, session_id } = await api.submit("do it", { agent_name: "helper" });
  await runner.pollOnce();
  expect(runner.got).toMatchObject([
    {
      run_id,
      parameters: { prompt: "do it" },
      scope: null,
      resolved_agent_blueprint: {
        name: "helper",
        system_prompt: `You are ${session_id}, for do it`,
        mcp_servers: { own: { url: "${runner.orchestrator_mcp_url}", config: { "X-Id": session_id } } },
      },
    },
  ]);
  await api.reached(run_id, "completed");
  const long = await api.submit("long");
  await runner.pollOnce("none");
  await api.stop(long.run_id);
  await runner.pollOnce();
  expect(runner.stopped).toEqual([long.session_id]);
});

test("an agent that does not exist fails the run, and does not execute it without its agent", async () => {
  await using world = new World();
  const { api, runner } = await worldWithPython(world);
  const gone = await api.submit("x", { agent_name: "nobody" });
  const next = await api.submit("y");
  await runner.pollOnce();
  expect(runner.got.map(({ run_id }) => run_id)).toEqual([next.run_id]);
  expect(await api.run(gone.run_id)).toMatchObject({ status: "failed", error: "Blueprint not found: nobody" });
});

test.each([
  ["a procedural executor", { executor: { type: "procedural", lifecycle: "one_shot" } }, /procedural/],
  ["a persistent executor", { executor: { type: "autonomous", lifecycle: "persistent" } }, /persistent/],
  ["agents of its own", { agents: [{ name: "a", command: "c" }] }, /agents that a runner owns/],
])("%s is refused at the registration, with the reason", async (_what, more, reason) => {
  await using world = new World();
  const { api } = await world.coordinator();
  const { status, body } = await call(api.url, "/runner/register", { ...IDENTITY, ...more });
  expect(status).toBe(422);
  expect(JSON.stringify(body)).toMatch(reason);
});

test("require_matching_tags: the runner gets only runs that demand one of its tags", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const runner = await SteppedRunner.register(api.url, { tags: ["gpu", "big"], require_matching_tags: true });
  await api.submit("any");
  const tagged = await api.submit("gpu", { additional_demands: { executor_type: "autonomous", tags: ["gpu"] } });
  await runner.pollOnce();
  expect(runner.got.map(({ run_id }) => run_id)).toEqual([tagged.run_id]);
});

test("POST /runs takes the second generation's form; parameters reach both kinds of executor", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const create = async (parameters: object): Promise<Json> => {
    const { status, body } = await call(api.url, "/runs", { type: "start_session", parameters });
    expect(status).toBe(201);
    return body;
  };
  const python = await SteppedRunner.register(api.url);
  await create({ prompt: "plain" });
  await create({ city: "Rome", days: 3 });
  await python.pollOnce();
  await python.pollOnce();
  expect(python.got.map(({ parameters }) => parameters)).toEqual([{ prompt: "plain" }, { city: "Rome", days: 3 }]);
  expect(python.got[1]?.["prompt"]).toBe("<inputs>\ncity: Rome\ndays: 3\n</inputs>");
  await call(api.url, "/runs", { type: "start_session", parameters: [] }).then(({ status }) =>
    expect(status).toBe(422),
  );

  const own = world.runner(api.url, "records-invocation", [], { AGENT_INVOCATION_SCHEMA: "2.2" });
  await own.line(/Runner started/);
  const created = await create({ city: "Oslo" });
  await until("the run to complete", async () => (await api.run(String(created["run_id"]))).status === "completed");
  expect(JSON.parse(await world.file(`${String(created["run_id"])}.stdin`))).toMatchObject({
    schema_version: "2.2",
    parameters: { city: "Oslo" },
  });
});
