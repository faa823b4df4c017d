import { readFileSync } from "node:fs";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import type { FakeRun } from "../fakes/fake-runs.ts";
import { BINARY } from "../harness/binary.ts";
import { processesWith } from "../harness/processes.ts";
import { until } from "../harness/until.ts";
import { World } from "../harness/world.ts";
import { type Behaviour, ENDS_WELL, promptOf } from "./behaviour.ts";
import { type Verdict, verdictOf } from "./verdict.ts";

const STEP_MS = 60_000;
const ENDS = ["completed", "failed", "stopped"] as const;

interface Submitted {
  readonly run: FakeRun;
  readonly end: "completed" | "failed";
}

/**
 * The coordinator restarts without its runner, runs and sessions. The runner must register again, and finish the runs
 * in flight. It reports each once, and gives up when the coordinator refuses the report with 404. Then it must
 * execute the same number of new runs.
 */
export async function forgettingCoordinator(options: { readonly runs: number }): Promise<Verdict> {
  const world = new World();
  const findings = { lost: [] as string[], duplicated: [] as string[], leftBehind: [] as string[] };
  try {
    await play(world, options.runs, findings);
  } catch (error) {
    findings.lost.push(String(error));
  }
  await world[Symbol.asyncDispose]().catch((error: unknown) => findings.leftBehind.push(String(error)));
  return verdictOf(2 * options.runs, findings);
}

async function play(
  world: World,
  count: number,
  { lost, duplicated, leftBehind }: Record<"lost" | "duplicated" | "leftBehind", string[]>,
): Promise<void> {
  const fake = world.own(await FakeCoordinator.start());
  const submit = (more: Partial<Behaviour>): Submitted[] =>
    Array.from({ length: count }, (_, i) => {
      const behaviour: Behaviour = { ...ENDS_WELL, exitCode: i % 3 === 0 ? 3 : 0, ...more };
      return {
        run: fake.queue({ prompt: promptOf(behaviour) }),
        end: behaviour.exitCode === 0 ? "completed" : "failed",
      };
    });
  const forgotten = submit({ waits: true });
  const runner = world.runner(fake.url, "does-as-told", ["--max-concurrent", "0"], { SELF: BINARY });
  await until("all runs to be running", () => forgotten.every(({ run }) => run.status === "running"), STEP_MS);
  await fake.down();
  for (const memory of [fake.state.runs, fake.state.sessions, fake.state.runners]) memory.clear();
  const requestsBefore = fake.requests.length;
  await fake.up();
  await until("the runner to register again", () => fake.state.runners.size > 0, STEP_MS);
  await Bun.write(world.path("release"), "");
  const refused = ({ run }: Submitted): string[] =>
    fake.requests
      .slice(requestsBefore)
      .flatMap(({ id, route, status }) =>
        id === run.run_id && status === 404 ? ENDS.filter((end) => route.endsWith(`/${end}`)) : [],
      );
  await until(
    "the reports of forgotten runs to be refused",
    () => forgotten.every((submitted) => refused(submitted).length > 0),
    STEP_MS,
  );
  const later = submit({ sleepMs: 50 });
  await until(
    "the later runs to end",
    () => later.every(({ run }) => run.status === "completed" || run.status === "failed"),
    STEP_MS,
  );

  if (!runner.stdout().includes("refused the report")) lost.push("the runner did not log a refused report");
  for (const submitted of forgotten) {
    const verbs = refused(submitted);
    if (verbs.some((verb) => verb !== submitted.end))
      lost.push(`run ${submitted.run.run_id}, which ${submitted.end}, was reported ${verbs.join(", ")}`);
    if (verbs.length > 1)
      duplicated.push(
        `run ${submitted.run.run_id} was reported ${verbs.length} times to a coordinator that does not know it`,
      );
  }
  for (const { run, end } of later)
    if (run.status !== end) lost.push(`run ${run.run_id}, which ${end}, is ${run.status}`);
  const ledger = readFileSync(world.path("ledger"), "utf8");
  for (const { run } of [...forgotten, ...later]) {
    const starts = ledger.split(`begin ${run.run_id} `).length - 1;
    if (starts !== 1) (starts > 1 ? duplicated : lost).push(`run ${run.run_id} was executed ${starts} times`);
    const left = processesWith("AGENT_RUN_ID", run.run_id);
    if (left.length > 0) leftBehind.push(`processes of run ${run.run_id} live: ${left.join(", ")}`);
  }
}
