import { describeError } from "../../src/errors.ts";
import { type CoordinatorStart, Machines } from "./machines.ts";
import { type Verdict, verdictOf } from "./verdict.ts";

/** The findings of a play, by the columns of the table. */
export class Found {
  tried = 0;
  readonly lost: string[] = [];
  readonly duplicated: string[] = [];
  readonly leftBehind: string[] = [];
}

const LOG_LINES = 200;

/**
 * Plays with a coordinator and machines, disposes them, and returns the verdict. Appends the logs to any
 * complaints. A play that throws counts as one thing lost.
 */
export async function inMachines(
  start: CoordinatorStart,
  play: (machines: Machines, found: Found) => Promise<void>,
): Promise<Verdict> {
  const found = new Found();
  let machines: Machines | null = null;
  try {
    machines = await Machines.start(start);
    await play(machines, found);
  } catch (error) {
    found.lost.push(`the trial broke off: ${describeError(error)}`);
  }
  await machines?.[Symbol.asyncDispose]().catch((error: unknown) => found.leftBehind.push(describeError(error)));
  const verdict = verdictOf(found.tried, found);
  if (verdict.complaints.length === 0 || machines === null) return verdict;
  const last = (log: string): string => log.split("\n").slice(-LOG_LINES).join("\n");
  const logs = [`the coordinator's log:\n${last(machines.log)}`, `the runners' logs:\n${last(machines.runnerLogs)}`];
  return { ...verdict, complaints: [...verdict.complaints, ...logs] };
}
