import type { FakeRun } from "../fakes/fake-runs.ts";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import { BINARY } from "../harness/binary.ts";
import { processesWith } from "../harness/processes.ts";
import { until } from "../harness/until.ts";
import { World } from "../harness/world.ts";
import { readFileSync } from "node:fs";
import type { Verdict } from "./verdict.ts";

const TERMINAL = ["completed", "failed", "stopped"];

/**
 * The coordinator is restarted and has forgotten runner, runs and sessions. The runner registers anew; what it has in flight goes on to its
 * end, is reported once, refused with 404 and given up; new runs are executed. `lost` counts runs of which one of this is not true.
 */
export async function forgettingCoordinator(options: { readonly runs: number }): Promise<Verdict> {
  const world = new World();
  const complaints: string[] = [];
  let forgotten: FakeRun[] = [];
  let later: FakeRun[] = [];
  try {
    const fake = world.own(await FakeCoordinator.start());
    const submit = (seconds: number): FakeRun => fake.queue({ prompt: `sleep=${seconds} exit=0` });
    forgotten = Array.from({ length: options.runs }, () => submit(1.5));
    const runner = world.runner(fake.url, "does-as-told", ["--max-concurrent", "0"], { SELF: BINARY });
    const ledger = (): string => readFileSync(world.path("ledger"), "utf8");
    await until("all runs are under way", () => forgotten.every(({ status }) => status === "running"));
    await fake.down();
    for (const memory of [fake.state.runs, fake.state.sessions, fake.state.runners]) memory.clear();
    const remembered = fake.requests.length;
    await fake.up();
    const refusals = (run: FakeRun): number =>
      fake.requests.slice(remembered).filter(({ id, route, status }) => id === run.run_id && TERMINAL.some((verb) => route.endsWith(verb)) && status === 404).length;
    await until("the runner has registered anew", () => fake.state.runners.size > 0, 30_000);
    await until("the reports of forgotten runs are refused", () => forgotten.every((run) => refusals(run) > 0), 30_000);
    later = Array.from({ length: options.runs }, () => submit(0.05));
    await until("later runs are completed", () => later.every(({ status }) => status === "completed"), 30_000);
    for (const run of forgotten) if (refusals(run) !== 1) complaints.push(`run ${run.run_id} was reported ${refusals(run)} times to a coordinator that does not know it`);
    for (const { run_id } of [...forgotten, ...later]) {
      const begun = ledger().split(`begin ${run_id} `).length - 1;
      if (begun !== 1) complaints.push(`run ${run_id} was executed ${begun} times`);
      if (processesWith("AGENT_RUN_ID", run_id).length > 0) complaints.push(`processes of run ${run_id} live`);
    }
    if (!runner.stdout().includes("refused the report")) complaints.push("the runner has not said that a report was refused");
  } catch (error) {
    complaints.push(String(error));
  }
  await world[Symbol.asyncDispose]().catch((error: unknown) => complaints.push(String(error)));
  return { tried: forgotten.length + later.length, lost: complaints.length, duplicated: 0, leftBehind: 0, complaints };
}
