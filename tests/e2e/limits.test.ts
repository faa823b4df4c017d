import { expect, setDefaultTimeout, test } from "bun:test";
import { symlinkSync, writeFileSync } from "node:fs";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

interface Answer {
  readonly status: number;
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any;
}

/** The address that the executor of a run calls. The test acts as that executor. */
async function gatewayOf(world: World, runId: string): Promise<string> {
  await world.file(`${runId}.ready`);
  return /^AGENT_ORCHESTRATOR_API_URL=(.*)$/m.exec(await world.file(`${runId}.env`))?.[1] ?? "";
}

async function call(url: string, method: string, path: string, body?: object): Promise<Answer> {
  const response = await fetch(url + path, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  return { status: response.status, body: await response.json() };
}

const START = { type: "start_session", prompt: "p" };
const NOWHERE = { ...START, additional_demands: { tags: ["no-runner-has-this"] } };

function release(world: World, ...runIds: readonly string[]): void {
  for (const runId of runIds) writeFileSync(world.path(`${runId}.release`), "0");
}

test("an executor gets no child beyond the limit by deleting, in parallel or by other ids", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  world.runner(api.url, "waits-for-release", ["--max-children", "2", "--max-tree-runs", "6"]);
  const own = await api.submit("orchestrate");
  const url = await gatewayOf(world, own.run_id);
  let created = 0;
  for (let i = 0; i < 40; i++) {
    const answer = await call(url, "POST", "/runs", { ...NOWHERE, ...(i % 2 === 0 ? {} : { session_id: "again" }) });
    if (answer.status !== 200) {
      expect([answer.status, answer.body.detail]).toEqual([403, expect.stringContaining("--max-children")]);
      continue;
    }
    created++;
    await call(url, "POST", `/runs/${answer.body.run_id}/stop`);
    expect((await call(url, "DELETE", `/sessions/${answer.body.session_id}`)).status).toBe(200);
  }
  expect(created).toBe(2);
  // Three runs so far. A resume is no child, but a run of the tree.
  const resumes = Array.from({ length: 20 }, () =>
    call(url, "POST", "/runs", { type: "resume_session", session_id: own.session_id, prompt: "p" }),
  );
  expect((await Promise.all(resumes)).filter(({ status }) => status === 200)).toHaveLength(3);
  expect((await call(url, "DELETE", `/sessions/${own.session_id}`)).status).toBe(403);
  for (const run of await api.runs()) release(world, run.run_id);
});

test("an executor does not get the runs of a deleted session by taking its id", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  world.runner(api.url, "waits-for-release");
  const foreign = await api.submit("a secret", { session_id: "gone" });
  await world.file(`${foreign.run_id}.ready`);
  release(world, foreign.run_id);
  await api.reached(foreign.run_id, "completed");
  expect((await fetch(`${api.url}/sessions/gone`, { method: "DELETE" })).status).toBe(200);
  const own = await api.submit("take");
  const url = await gatewayOf(world, own.run_id);
  const take = await call(url, "POST", "/runs", { ...START, session_id: "gone" });
  expect([take.status, take.body.detail]).toEqual([409, expect.stringContaining("is or was in use")]);
  expect((await call(url, "GET", `/runs/${foreign.run_id}`)).status).toBe(403);
  expect((await call(url, "POST", "/runs", { ...NOWHERE, session_id: "new" })).status).toBe(200);
  // A client may use the id again.
  expect((await api.submit("again", { ...NOWHERE, session_id: "gone" })).session_id).toBe("gone");
  release(world, own.run_id);
  await api.reached(own.run_id, "completed");
});

test("what an executor sets for a child is bounded by its own run; a client is not", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  world.runner(api.url, "waits-for-release");
  symlinkSync("/etc", world.path("link"));
  const own = await api.submit("orchestrate", { additional_demands: { project_dir: world.projectDir } });
  const url = await gatewayOf(world, own.run_id);
  for (const [fields, reason] of [
    [{ priority: 1 }, "0 is the limit"],
    [{ max_attempts: 2 }, "limits.max_attempts"],
    [{ retry_delay_seconds: 0 }, "10 s is the limit"],
    [{ project_dir: "/etc" }, "limits.children_anywhere"],
    [{ project_dir: `${world.projectDir}/..` }, "limits.children_anywhere"],
    [{ project_dir: "link" }, "limits.children_anywhere"],
    [{ additional_demands: { project_dir: "/etc" } }, "limits.children_anywhere"],
  ] as const) {
    const answer = await call(url, "POST", "/runs", { ...NOWHERE, ...fields });
    expect([fields, answer.status, answer.body.detail]).toEqual([fields, 403, expect.stringContaining(reason)]);
  }
  expect((await call(url, "POST", "/agents", { name: "own-blueprint", description: "d" })).status).toBe(403);
  expect((await call(url, "POST", "/runs", NOWHERE)).status).toBe(200);
  await api.submit("p", { priority: 1, max_attempts: 2, project_dir: "/etc", additional_demands: { tags: ["none"] } });
  release(world, own.run_id);
});
