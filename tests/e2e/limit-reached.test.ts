import { expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CoordinatorApi } from "../harness/coordinator-api.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

/** Says that a limit is reached as long as the file `limit` names its end, and notes when it has worked. */
const EXECUTOR = `
import { appendFileSync, existsSync, readFileSync } from "node:fs";
await Bun.stdin.text();
if (existsSync("limit")) {
  const { AGENT_ORCHESTRATOR_API_URL: url, AGENT_SESSION_ID: session_id } = process.env;
  const timestamp = new Date().toISOString();
  const limited_until = JSON.parse(readFileSync("limit", "utf8"));
  const body = { event_type: "ending", session_id, timestamp, limited_until };
  await fetch(url + "/sessions/" + session_id + "/events", { method: "POST", body: JSON.stringify(body) });
  console.error("the limit of the login is reached");
  process.exit(75);
}
appendFileSync("worked", Date.now() + "\\n");
console.log("done");
`;

async function up(world: World): Promise<{ api: CoordinatorApi; line: (pattern: RegExp) => Promise<unknown> }> {
  const folder = join(world.home, "executors/limited");
  mkdirSync(folder, { recursive: true });
  const executor = join(folder, "ao-limited-exec.ts");
  writeFileSync(executor, EXECUTOR);
  chmodSync(executor, 0o755);
  const process = world.start(["up", "--no-token", "--port", "0", "-e", executor, "--max-concurrent", "1"]);
  const [, url = ""] = await process.line(/Connecting to Agent Coordinator at (\S+)/);
  return { api: new CoordinatorApi(url), line: (pattern) => process.line(pattern) };
}

test("one run tells of a limit of the login: all others wait for its end, and the runner says so", async () => {
  await using world = new World();
  const { api, line } = await up(world);
  const until = Date.now() + 10_000;
  writeFileSync(world.path("limit"), JSON.stringify(new Date(until).toISOString()));
  const first = await api.submit("first", { max_attempts: 2, retry_delay_seconds: 1 });
  const others = await Promise.all(["second", "third"].map((prompt) => api.submit(prompt)));
  await line(/taking no runs until it can/);
  rmSync(world.path("limit"));
  const { stdout } = await world.run(["runners", "-c", api.url]);
  expect(stdout).toContain(`its limit is reached until ${new Date(until).toISOString()}`);
  for (const { run_id } of others) await api.reached(run_id, "completed");
  const { status, retried_by } = await api.run(first.run_id);
  expect(status).toBe("failed");
  await api.reached(retried_by ?? "none", "completed");
  const times = readFileSync(world.path("worked"), "utf8").trim().split("\n").map(Number);
  expect(times).toHaveLength(3);
  expect(Math.min(...times)).toBeGreaterThanOrEqual(until);
});

test("a limit that has ended, or is no time, stops nothing", async () => {
  await using world = new World();
  const { api } = await up(world);
  for (const limited of ["2020-01-01T00:00:00Z", "soon", "", null, 5, {}]) {
    writeFileSync(world.path("limit"), JSON.stringify(limited));
    const { run_id } = await api.submit("limited");
    await api.reached(run_id, "failed");
  }
  rmSync(world.path("limit"));
  const { run_id } = await api.submit("after");
  await api.reached(run_id, "completed");
  expect(existsSync(world.path("worked"))).toBe(true);
});
