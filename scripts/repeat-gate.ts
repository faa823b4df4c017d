// `bun run scripts/repeat-gate.ts --times 10 --busy 2 --randomize`: do the tests pass whenever and in whatever order?
// Builds the binary, then runs the tests of the gate again and again, beside busy loops. Failures are shown whole; the
// table comes last. The exit code is 1 if any run failed. A random order comes again with `--seed`.
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gateEnvironment } from "./gate-environment.ts";
import { runStep } from "./gate-step.ts";
import { testCommand } from "./test-command.ts";
import { testTally } from "./test-tally.ts";

const HELP = `bun run scripts/repeat-gate.ts [OPTIONS] [PART OF A TEST FILE'S PATH...]
  --times N      runs (default 10)
  --busy N       endless loops beside them (default 0)
  --randomize    a random order of files and tests, another one for each run
  --seed N       the random order of the first run; the next run has N + 1
  --processes N  processes for test files (default: as in the gate)`;

const root = join(import.meta.dir, "..");
const { values, positionals: only } = parseArgs({
  allowPositionals: true,
  options: {
    times: { type: "string", default: "10" },
    busy: { type: "string", default: "0" },
    randomize: { type: "boolean", default: false },
    seed: { type: "string" },
    processes: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.once(signal, () => interrupted.abort(new Error(`interrupted by ${signal}`)));

if (values.help) console.log(HELP);
else process.exitCode = (await repeat()) ? 0 : 1;

async function repeat(): Promise<boolean> {
  const firstSeed = values.seed === undefined ? Math.floor(Math.random() * 1_000_000) : whole("seed", values.seed);
  const hasOrder = values.randomize || values.seed !== undefined;
  const processes = values.processes === undefined ? {} : { processes: whole("processes", values.processes) };
  const rows: object[] = [];
  await using busy = new AsyncDisposableStack();
  if (!(await step("build", [process.execPath, "run", "build.ts"])).isGood) return false;
  for (let i = 0; i < whole("busy", values.busy); i++) busy.use(busyLoop());
  try {
    for (let i = 0; i < whole("times", values.times); i++) {
      const seed = hasOrder ? { seed: firstSeed + i } : {};
      const { isGood: _, ...figures } = await step(`run ${i + 1}`, testCommand({ ...processes, ...seed, only }));
      rows.push({ run: i + 1, ...seed, ...figures });
    }
  } finally {
    console.log(`\n${Bun.inspect.table(rows)}`);
  }
  return rows.every((row) => "failed" in row && row.failed === 0);
}

async function step(
  name: string,
  command: readonly string[],
): Promise<{ isGood: boolean; passed: number; failed: number; seconds: number }> {
  const scratch = realpathSync(mkdtempSync(join(tmpdir(), "agent-runner-gate-")));
  mkdirSync(scratch, { recursive: true });
  const begun = performance.now();
  try {
    const tally = name === "build" ? {} : { tally: testTally };
    const limits = { deadlineMs: 60 * 60_000, ...tally };
    const own = { name, command, cwd: root, env: gateEnvironment(scratch), ...limits };
    const { passed, failed } = await runStep(own, scratch, interrupted.signal);
    return { isGood: failed === 0, passed, failed, seconds: Math.round((performance.now() - begun) / 1000) };
  } finally {
    rmSync(scratch, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Keeps one processor busy until it is disposed. */
function busyLoop(): AsyncDisposable {
  const loop = Bun.spawn([process.execPath, "-e", "for (;;);"], { stdio: ["ignore", "ignore", "ignore"] });
  return {
    async [Symbol.asyncDispose]() {
      loop.kill("SIGKILL");
      await loop.exited;
    },
  };
}

function whole(name: string, value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0) throw new Error(`--${name}: "${value}" is not a whole number`);
  return number;
}
