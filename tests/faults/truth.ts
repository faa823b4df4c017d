import { readProcessTable } from "../../src/process/process-table.ts";
import { until } from "../harness/until.ts";
import type { Ledger, ListedRun, Machines } from "./machines.ts";

const TERMINAL = new Set(["completed", "failed", "stopped"]);
/** A claim whose answer was lost with its machine has a lease of 150 s. */
export const SETTLE_MS = 240_000;
const GONE_MS = 60_000;

export const isOpen = ({ status }: Pick<ListedRun, "status">): boolean => !TERMINAL.has(status);

/** Waits until the coordinator has no open run, and returns all runs. At the deadline some may be open. */
export async function settled(machines: Machines, deadlineMs = SETTLE_MS): Promise<ListedRun[]> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const runs = await machines.runs();
    if (!runs.some(isOpen) || performance.now() > end) return runs;
    await Bun.sleep(100);
  }
}

/**
 * What is wrong with the coordinator's word on a run; null if nothing is. `mayBe`: endings that the executor did not
 * choose, such as a stop, or `runner_lost`.
 */
export function untruth(
  run: ListedRun,
  { ended }: Ledger,
  mayBe: { isLost: boolean; isStopped: boolean },
): string | null {
  const exitCode = run.prompt.includes("exit=3") ? 3 : 0;
  const complain = (why: string): string => `run ${run.run_id} is ${run.status} (${run.error ?? ""}): ${why}`;
  switch (run.status) {
    case "completed":
      return ended.has(run.run_id) && exitCode === 0 ? null : complain("its executor did not end with 0");
    case "stopped":
      return mayBe.isStopped ? null : complain("nobody requested a stop");
    case "failed":
      if (run.reason === "runner_lost") return mayBe.isLost ? null : complain("its machine was not lost");
      return ended.has(run.run_id) && exitCode === 3 && run.error === "Process exited with code 3"
        ? null
        : complain("its executor did not end with 3");
    default:
      return complain("no end was reported");
  }
}

export function executedTwice({ begun }: Ledger): string[] {
  return [...begun].flatMap(([runId, times]) => (times > 1 ? [`run ${runId} was executed ${times} times`] : []));
}

/** Waits until no process of these runs is alive; returns those that are. */
export async function leftoversOf(runIds: Iterable<string>, deadlineMs = GONE_MS): Promise<string[]> {
  const among = new Set(runIds);
  let left: string[] = [];
  const isGone = async (): Promise<boolean> => {
    const table = await readProcessTable();
    left = table.flatMap(({ pid, runId }) =>
      runId !== null && among.has(runId) ? [`process ${pid} of run ${runId} lives`] : [],
    );
    return left.length === 0;
  };
  await until("the processes to be gone", isGone, deadlineMs).catch(() => {});
  return left;
}
