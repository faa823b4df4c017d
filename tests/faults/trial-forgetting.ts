import { readFileSync } from "node:fs";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import type { FakeRun } from "../fakes/fake-runs.ts";
import { BINARY } from "../harness/binary.ts";
import { processesWith } from "../harness/processes.ts";
import { until } from "../harness/until.ts";
import { World } from "../harness/world.ts";
import { type Behaviour, ENDS_WELL, promptOf } from "./behaviour.ts";
import { type Verdict, verdictOf } from "./verdict.ts";

const STEP_MS = 30_000;
const ENDS = ["completed", "failed", "stopped"] as const;

interface Ordered {
  readonly run: FakeRun;
  readonly end: "completed" | "failed";
}

/**
 * The coordinator is restarted and has forgotten runner, runs and sessions. The runner registers anew; what it has in flight goes on to its
 * end, is reported once, refused with 404 and given up; as many new runs are executed.
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
  const order = (more: Partial<Behaviour>): Ordered[] =>
    Array.from({ length: count }, (_, i) => {
      const behaviour: Behaviour = { ...ENDS_WELL, exitCode: i % 3 === 0 ? 3 : 0, ...more };
      return {
        run: fake.queue({ prompt: promptOf(behaviour) }),
        end: behaviour.exitCode === 0 ? "completed" : "failed",
      };
    });
  const forgotten = order({ waits: true });
  const runner = world.runner(fake.url, "does-as-told", ["--max-concurrent", "0"], { SELF: BINARY });
  await until("all runs are under way", () => forgotten.every(({ run }) => run.status === "running"), STEP_MS);
  await fake.down();
  for (const memory of [fake.state.runs, fake.state.sessions, fake.state.runners]) memory.clear();
  const remembered = fake.requests.length;
  await fake.up();
  await until("the runner has registered anew", () => fake.state.runners.size > 0, STEP_MS);
  await Bun.write(world.path("release"), "");
  const refused = ({ run }: Ordered): string[] =>
    fake.requests
      .slice(remembered)
      .flatMap(({ id, route, status }) =>
        id === run.run_id && status === 404 ? ENDS.filter((end) => route.endsWith(`/${end}`)) : [],
      );
  await until(
    "the reports of forgotten runs are refused",
    () => forgotten.every((ordered) => refused(ordered).length > 0),
    STEP_MS,
  );
  const later = order({ sleepMs: 50 });
  await until(
    "later runs have ended",
    () => later.every(({ run }) => run.status === "completed" || run.status === "failed"),
    STEP_MS,
  );

  if (!runner.stdout().includes("refused the report")) lost.push("the runner has not said that a report was refused");
  for (const ordered of forgotten) {
    const verbs = refused(ordered);
    if (verbs.some((verb) => verb !== ordered.end))
      lost.push(`run ${ordered.run.run_id}, which ${ordered.end}, was reported ${verbs.join(", ")}`);
    if (verbs.length > 1)
      duplicated.push(
        `run ${ordered.run.run_id} was reported ${verbs.length} times to a coordinator that does not know it`,
      );
  }
  for (const { run, end } of later)
    if (run.status !== end) lost.push(`run ${run.run_id}, which ${end}, is ${run.status}`);
  const ledger = readFileSync(world.path("ledger"), "utf8");
  for (const { run } of [...forgotten, ...later]) {
    const begun = ledger.split(`begin ${run.run_id} `).length - 1;
    if (begun !== 1) (begun > 1 ? duplicated : lost).push(`run ${run.run_id} was executed ${begun} times`);
    const left = processesWith("AGENT_RUN_ID", run.run_id);
    if (left.length > 0) leftBehind.push(`processes of run ${run.run_id} live: ${left.join(", ")}`);
  }
}
