import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { endLeftBehind } from "./left-behind.ts";

export interface Tally {
  passed: number;
  failed: number;
}

/** One step of the gate: a command that must end with 0. */
export interface Step {
  readonly name: string;
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Record<string, string>;
  /** The command gets SIGTERM then, SIGKILL ten seconds later, and has failed. */
  readonly deadlineMs: number;
  readonly prepare?: () => void;
  /** What stdout and stderr together must contain. */
  readonly expected?: RegExp;
  /** How many things the step counts for, from its exit code and output; by default it counts for one. */
  readonly tally?: (exitCode: number, output: string) => Tally;
  /** How long what it has started may take to end after it; some seconds by default. */
  readonly graceMs?: number;
}

const KILL_AFTER_MS = 10_000;
let steps = 0;

/**
 * Runs the step, prints its heading and duration, and its output if something failed. `scratch` takes the output file, and is the mark of
 * what the step has started: what it leaves behind is ended, and a failure. Throws once `interrupted` has fired and the command has ended.
 */
export async function runStep(step: Step, scratch: string, interrupted: AbortSignal): Promise<Tally> {
  console.log(`\n== ${step.name}`);
  const begun = performance.now();
  const { exitCode, output } = await execute(step, join(scratch, `step-${++steps}.txt`), interrupted);
  const leftBehind = await endLeftBehind(scratch, step.graceMs);
  interrupted.throwIfAborted();
  const complaint = complaintOf(step, exitCode, output, leftBehind);
  const succeeded = exitCode === 0 && complaint === undefined;
  const tally = step.tally?.(exitCode, output) ?? { passed: succeeded ? 1 : 0, failed: succeeded ? 0 : 1 };
  if (!succeeded && tally.failed === 0) tally.failed = 1;
  if (tally.failed > 0) console.log(output.trimEnd());
  const counts = step.tally === undefined ? "" : `, ${tally.passed} passed, ${tally.failed} failed`;
  const verdict = tally.failed === 0 ? "ok" : `FAILED (${complaint ?? `exit code ${exitCode}`})`;
  console.log(`   ${verdict}${counts} in ${((performance.now() - begun) / 1000).toFixed(2)} s`);
  return tally;
}

function complaintOf(
  { expected }: Step,
  exitCode: number,
  output: string,
  leftBehind: readonly string[],
): string | undefined {
  if (exitCode !== 0) return undefined;
  if (expected?.test(output) === false) return `output does not match ${expected}`;
  return leftBehind.length === 0 ? undefined : `processes were left behind, and ended: ${leftBehind.join("; ")}`;
}

/**
 * Output goes to a file, not to a pipe: a process left behind would hold a pipe open, and the gate would wait for it instead
 * of ending.
 */
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
      overdue = `\nstopped: it had not ended after ${step.deadlineMs / 1000} s\n`;
      child.kill("SIGTERM");
    }, step.deadlineMs);
    const kill = setTimeout(() => child.kill("SIGKILL"), step.deadlineMs + KILL_AFTER_MS);
    const exitCode = await child.exited;
    clearTimeout(term);
    clearTimeout(kill);
    return { exitCode: overdue === "" ? exitCode : exitCode || 1, output: readFileSync(outputFile, "utf8") + overdue };
  } catch (error) {
    return { exitCode: 1, output: `could not be started: ${String(error)}` };
  } finally {
    closeSync(fd);
  }
}
