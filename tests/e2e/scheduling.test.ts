import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

test("submit --max-attempts: exit code 75 is retried, and the last attempt decides", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  await world.runner(api.url, "test-executor").line(/Runner started/);
  const args = ["submit", "-c", api.url, "--wait", "--max-attempts", "2", "--retry-delay", "0"];
  const { code, stderr } = await world.run([...args, "!exit 75"]);
  expect([code, stderr.match(/ {2}failed/g)?.length]).toEqual([1, 2]);
  const runs = (await world.run(["runs", "-c", api.url, "--json"])).stdout;
  expect(JSON.parse(runs)).toMatchObject([
    { attempt: 1, status: "failed", reason: "temporary" },
    { attempt: 2, status: "failed", reason: "temporary", retried_by: null },
  ]);
  expect((await world.run([...args, "!exit 3"])).code).toBe(1);
  expect(JSON.parse((await world.run(["runs", "-c", api.url, "--json", "--status", "failed"])).stdout)).toHaveLength(3);
});

test("coordinator --agents-dir: a run gets the blueprint of the file; a missing folder is an error", async () => {
  await using world = new World();
  const agents = join(world.projectDir, "agents");
  mkdirSync(join(agents, "helper"), { recursive: true });
  writeFileSync(
    join(agents, "helper", "agent.json"),
    JSON.stringify({ name: "helper", description: "helps", demands: { tags: ["none-has-it"] } }),
  );
  const { api } = await world.coordinator(0, ["--agents-dir", "agents"]);
  expect((await world.run(["agents", "-c", api.url])).stdout).toMatch(/helper +active +file +- +helps/);
  const created = await world.run(["submit", "-c", api.url, "--json", "--agent", "helper", "x"]);
  const { run_id } = JSON.parse(created.stdout) as { run_id: string };
  expect((await world.run(["runs", "-c", api.url, "--status", "pending"])).stdout).toMatch(
    new RegExp(`${run_id} +pending \\(runner\\)`),
  );
  const refused = await world.run(["agents", "rm", "helper", "-c", api.url]);
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("agent.json")]);
  const missing = await world.run(["coordinator", "--port", "0", "--agents-dir", "nowhere"]);
  expect([missing.code, missing.stderr]).toEqual([2, expect.stringContaining("--agents-dir")]);
});

test("the binary describes its API at /openapi.json", async () => {
  await using world = new World();
  const { api } = await world.coordinator();
  const document = (await (await fetch(`${api.url}/openapi.json`)).json()) as { openapi: string; paths: object };
  expect([document.openapi, Object.keys(document.paths).includes("/runs/{run_id}")]).toEqual(["3.1.0", true]);
});
