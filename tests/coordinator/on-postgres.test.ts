import { expect, test } from "bun:test";
import { startCoordinator } from "../../src/coordinator/coordinator.ts";
import { silentLog } from "../../src/log.ts";
import { sharedPostgres } from "../harness/postgres.ts";
import { tempFolder } from "../harness/temp-folder.ts";
import { until } from "../harness/until.ts";
import { again, IS_AGAIN } from "./again.ts";

test.skipIf(IS_AGAIN)(
  "the coordinator's suites hold on PostgreSQL too",
  async () => {
    const server = ["run", "scripts/with-postgres.ts", process.execPath];
    await again(["runs", "runners", "sessions", "agents", "routes"], {}, server);
  },
  600_000,
);

const postgres = sharedPostgres();
const CHILDREN = 8;
const ROUNDS = 5;

interface Run {
  readonly run_id: string;
  readonly session_id: string;
  readonly status: string;
}

async function call<Answer>(url: string, method: string, path: string, body?: unknown): Promise<Answer> {
  const response = await fetch(url + path, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Answer;
}

test("children that end at once at two coordinators resume their parent once, with all results", async () => {
  await using database = await postgres.database();
  using folder = tempFolder();
  const start = (name: string): ReturnType<typeof startCoordinator> =>
    startCoordinator({
      host: "127.0.0.1",
      port: 0,
      databasePath: `${folder.path}/${name}`,
      databaseUrl: database.url,
      log: silentLog,
    });
  await using one = await start("one");
  await using two = await start("two");
  const { runner_id } = await call<{ runner_id: string }>(one.url, "POST", "/runner/register", {
    hostname: "host",
    project_dir: "/work",
    executor_type: "test-executor",
  });
  const claim = async (): Promise<Run> => {
    const { run } = await call<{ run: Run }>(one.url, "GET", `/runner/runs?runner_id=${runner_id}`);
    await call(one.url, "POST", `/runner/runs/${run.run_id}/started`, { runner_id });
    return run;
  };
  const complete = async (url: string, { run_id }: Run): Promise<void> =>
    void (await call(url, "POST", `/runner/runs/${run_id}/completed`, { runner_id, status: "success" }));
  for (let round = 0; round < ROUNDS; round++) {
    const parent = await call<Run>(one.url, "POST", "/runs", { type: "start_session", prompt: "parent" });
    const parentRun = await claim();
    for (let i = 0; i < CHILDREN; i++) {
      await call(i % 2 === 0 ? one.url : two.url, "POST", "/runs", {
        type: "start_session",
        prompt: `child ${i}`,
        parent_session_id: parent.session_id,
        execution_mode: "async_callback",
      });
    }
    const children: Run[] = [];
    while (children.length < CHILDREN) children.push(await claim());
    await complete(two.url, parentRun);
    await Promise.all(children.map((child, i) => complete(i % 2 === 0 ? two.url : one.url, child)));
    const resumes = async (): Promise<Run[]> =>
      (await call<{ runs: (Run & { type: string; prompt: string })[] }>(two.url, "GET", "/runs")).runs.filter(
        ({ session_id, type }) => session_id === parent.session_id && type === "resume_session",
      );
    await until("the parent is resumed", async () => (await resumes()).length > 0);
    expect(await resumes()).toHaveLength(1);
    const told = await database.sql.unsafe("SELECT 1 FROM callbacks WHERE delivered_in IS NOT NULL");
    expect(told).toHaveLength(CHILDREN * (round + 1));
    await complete(one.url, await claim());
  }
});
