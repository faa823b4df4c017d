// The whole gate: `bun run check`, `npm test`. Runs all steps, also after a failure, but none that needs a binary
// without a build. The last line of stdout is `N passed, N failed`. The exit code is 1 if any failed.
import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { binaryFile } from "../build.ts";
import packageJson from "../package.json" with { type: "json" };
import { gateEnvironment } from "./gate-environment.ts";
import { runStep, type Step, type Tally } from "./gate-step.ts";
import { testTally } from "./test-tally.ts";

const root = join(import.meta.dir, "..");
const scratch = realpathSync(mkdtempSync(join(tmpdir(), "agent-runner-gate-")));
const bun = process.execPath;
const minutes = 60_000;

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
  const total: Tally = { passed: 0, failed: 0 };
  const run = async (step: Step): Promise<boolean> => {
    const { passed, failed } = await runStep(step, scratch, interrupted.signal);
    total.passed += passed;
    total.failed += failed;
    return failed === 0;
  };

  const env = gateEnvironment(scratch);
  for (const step of staticSteps(env)) await run(step);
  const built = await run({
    name: "build",
    command: [bun, "run", "build.ts"],
    cwd: root,
    env,
    deadlineMs: 5 * minutes,
  });
  // A download of 380 MB, once, that only the tests need.
  await run({
    name: "Claude Code for the tests",
    command: [bun, "run", "scripts/claude-code.ts"],
    cwd: root,
    env,
    deadlineMs: 10 * minutes,
  });
  await run({
    name: "a browser for the tests",
    command: [bun, "run", "scripts/browser.ts"],
    cwd: root,
    env,
    deadlineMs: 10 * minutes,
  });
  await run({
    name: "a clock for the tests that can be set",
    command: [bun, "run", "scripts/faketime.ts"],
    cwd: root,
    env,
    deadlineMs: 10 * minutes,
  });
  await run({
    name: "tests",
    command: [bun, "test", "--only-failures", "--timeout", "30000"],
    cwd: root,
    env,
    deadlineMs: 40 * minutes,
    tally: testTally,
  });
  for (const step of smokeSteps(env)) {
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

/** Steps that run a script of package.json, so that each command stands in one place. */
function staticSteps(env: Record<string, string>): Step[] {
  const script = (script: string, name: string): Step => ({
    name,
    command: [bun, "run", script],
    cwd: root,
    env,
    deadlineMs: 5 * minutes,
  });
  return [
    script("types", "types"),
    script("lint", "lint"),
    script("format:check", "format"),
    script("spelling", "spelling"),
    script("unused", "unused exports, files and dependencies"),
  ];
}

/** Steps that run the binary alone in an empty folder, without Bun and node_modules in reach. */
function smokeSteps(testEnv: Record<string, string>): Step[] {
  const folder = join(scratch, "alone");
  const program = join(folder, basename(binaryFile));
  const env = process.platform === "win32" ? testEnv : { ...testEnv, PATH: "/usr/bin:/bin" };
  const smoke = (args: string[], expected: RegExp): Step => ({
    name: `binary alone: ${args.join(" ").replaceAll(scratch, "<tmp>")}`,
    command: [program, ...args],
    cwd: folder,
    env,
    deadlineMs: minutes,
    prepare: () => {
      mkdirSync(folder, { recursive: true });
      copyFileSync(binaryFile, program);
    },
    expected,
  });
  const sample = [
    "-x",
    "test-executor",
    "--port",
    "0",
    "--state-dir",
    join(scratch, "smoke-state"),
    "--sample",
    "--once",
  ];
  return [
    smoke(
      ["--version"],
      new RegExp(`${packageJson.version.replaceAll(".", "\\.")} \\((?:[0-9a-f]{12}(?:-dirty)?|unknown)\\)`),
    ),
    smoke(["--help"], /usage/i),
    smoke(["--executor-list"], /test-executor/),
    smoke(["up", ...sample], /sample run run_\w+ completed/),
  ];
}
