// The whole gate: `bun run check`, `npm test`. Runs all steps, also after a failure, but none that needs a binary
// without a build. The last line of stdout is `N passed, N failed`. The exit code is 1 if any failed.
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { gateEnvironment } from "./gate-environment.ts";
import { runStep, type Step, type Tally } from "./gate-step.ts";
import { sideBySide } from "./side-by-side.ts";
import { smokeSteps } from "./smoke-steps.ts";
import { testTally } from "./test-tally.ts";
import { testCommand } from "./test-command.ts";

type GateStep = Omit<Step, "cwd" | "env"> & Partial<Pick<Step, "cwd" | "env">>;

const root = join(import.meta.dir, "..");
const scratch = realpathSync(mkdtempSync(join(tmpdir(), "agent-runner-gate-")));
const bun = process.execPath;
const minutes = 60_000;
const total: Tally = { passed: 0, failed: 0 };
let steps = 0;

/** Each runs a script of package.json, so that each command stands in one place. */
const STATIC_STEPS: readonly GateStep[] = (
  [
    ["types", "types"],
    ["spelling", "spelling"],
    ["lint", "lint"],
    ["unused", "unused exports, files and dependencies"],
    ["format:check", "format"],
  ] as const
).map(([script, name]) => ({ name, command: [bun, "run", script], deadlineMs: 5 * minutes }));

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => interrupted.abort(new Error(`the gate was interrupted by ${signal}`)));
}

try {
  process.exitCode = (await gate()) ? 0 : 1;
} finally {
  rmSync(scratch, { recursive: true, force: true, maxRetries: 3 });
}

async function gate(): Promise<boolean> {
  const begun = performance.now();
  let built = false;
  const build = async (): Promise<void> => {
    built = await run({ name: "build", command: [bun, "run", "build.ts"], deadlineMs: 5 * minutes });
  };
  await sideBySide([build, tools, ...STATIC_STEPS.map((step) => () => run(step))], availableParallelism());
  console.log("\nThe tests run side by side. Those that fail are shown at the end");
  await run({ name: "tests", command: testCommand(), deadlineMs: 40 * minutes, tally: testTally });
  for (const step of smokeSteps(scratch)) {
    if (built) {
      await run(step);
    } else {
      console.log(`\n== ${step.name}\n   not run without a binary`);
      total.failed += 1;
    }
  }
  console.log(`\nThe gate took ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0;
}

/** Each step has a scratch folder of its own: its name marks the processes of the step, and no others. */
async function run(step: GateStep): Promise<boolean> {
  const own = join(scratch, String(++steps));
  mkdirSync(own);
  const env = { ...gateEnvironment(own), ...step.env };
  const { passed, failed } = await runStep({ cwd: root, ...step, env }, own, interrupted.signal);
  total.passed += passed;
  total.failed += failed;
  return failed === 0;
}

/** What only the tests need, downloaded once: 380 MB. One after the other, because apt-get takes a lock. */
async function tools(): Promise<void> {
  for (const [name, script] of [
    ["Claude Code for the tests", "claude-code"],
    ["a browser for the tests", "browser"],
    ["a clock for the tests that can be set", "faketime"],
    ["PostgreSQL for the tests", "postgres"],
  ] as const)
    await run({ name, command: [bun, "run", `scripts/${script}.ts`], deadlineMs: 10 * minutes });
}
