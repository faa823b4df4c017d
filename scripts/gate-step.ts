import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { endLeftovers } from "./step-leftovers.ts";

export interface Tally {
  passed: number;
  failed: number;
}

/** One step of the gate: a command that must exit with 0. */
export interface Step {
  readonly name: string;
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Record<string, string>;
  /** The time limit. The command then gets SIGTERM, SIGKILL ten seconds later, and has failed. */
  readonly deadlineMs: number;
  readonly prepare?: () => void;
  /** A pattern that stdout and stderr together must match. */
  readonly expected?: RegExp;
  /** Counts from exit code and output; by default a step counts as one. */
  readonly tally?: (exitCode: number, output: string) => Tally;
  /** The time for its processes to end after the command; some seconds by default. */
  readonly graceMs?: number;
}

const KILL_AFTER_MS = 10_000;
let steps = 0;

/**
 * Runs the step, then prints its heading and duration, and its output after a failure: all at once, because steps run
 * side by side. `scratch` is the folder of the output file, and the mark of the step's processes: leftovers are ended
 * and are a failure. Throws after the command if `interrupted` has fired.
 */
export async function runStep(step: Step, scratch: string, interrupted: AbortSignal): Promise<Tally> {
  const begun = performance.now();
  const { exitCode, output } = await execute(step, join(scratch, `step-${++steps}.txt`), interrupted);
  const leftovers = await endLeftovers(scratch, step.graceMs);
  interrupted.throwIfAborted();
  const complaint = complaintOf(step, exitCode, output, leftovers);
  const succeeded = exitCode === 0 && complaint === undefined;
  const tally = step.tally?.(exitCode, output) ?? { passed: succeeded ? 1 : 0, failed: succeeded ? 0 : 1 };
  if (!succeeded && tally.failed === 0) tally.failed = 1;
  const counts = step.tally === undefined ? "" : `, ${tally.passed} passed, ${tally.failed} failed`;
  const verdict = tally.failed === 0 ? "ok" : `FAILED (${complaint ?? `exit code ${exitCode}`})`;
  const duration = ((performance.now() - begun) / 1000).toFixed(2);
  const shown = tally.failed > 0 ? `${output.trimEnd()}\n` : "";
  console.log(`\n== ${step.name}\n${shown}   ${verdict}${counts} in ${duration} s`);
  return tally;
}

function complaintOf(
  { expected }: Step,
  exitCode: number,
  output: string,
  leftovers: readonly string[],
): string | undefined {
  if (exitCode !== 0) return undefined;
  if (expected?.test(output) === false) return `the output does not match ${expected}`;
  return leftovers.length === 0 ? undefined : `leftovers were ended: ${leftovers.join("; ")}`;
}

/** Writes the output to a file: leftovers would hold a pipe open, and the gate would wait for them. */
async function execute(
  step: Step,
  outputFile: string,
  interrupted: AbortSignal,
): Promise<{ exitCode: number; output: string }> {
  const fd = openSync(outputFile, "a");
  let overdue = "";
  try {
    step.prepare?.();
    const child = Bun.spawn([...step.command], {
      cwd: step.cwd,
      env: step.env,
      stdin: "ignore",
      stdout: fd,
      stderr: fd,
      signal: interrupted,
    });
    const term = setTimeout(() => {
      overdue = `\nStopped after ${step.deadlineMs / 1000} s, its time limit\n`;
      child.kill("SIGTERM");
    }, step.deadlineMs);
    const kill = setTimeout(() => child.kill("SIGKILL"), step.deadlineMs + KILL_AFTER_MS);
    const exitCode = await child.exited;
    clearTimeout(term);
    clearTimeout(kill);
    return { exitCode: overdue === "" ? exitCode : exitCode || 1, output: readFileSync(outputFile, "utf8") + overdue };
  } catch (error) {
    return { exitCode: 1, output: `Cannot start the command: ${String(error)}` };
  } finally {
    closeSync(fd);
  }
}
