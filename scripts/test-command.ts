import { availableParallelism } from "node:os";

/** Only against tests that hang. Waits inside of tests have shorter deadlines. */
const TIMEOUT_MS = 120_000;

/** Durations of the test files: the slowest start first. `--update-timings` writes it. */
const TIMINGS = "tests/timings.json";

interface TestOptions {
  /** Processes that run test files side by side. */
  readonly processes?: number;
  /** Runs files and tests in a random order that the seed gives again. */
  readonly seed?: number;
  /** Words in the paths of the test files to run; all of them by default. */
  readonly only?: readonly string[];
}

/** The command that runs the tests, file by file in several processes. Most tests wait: twice as many as processors. */
export function testCommand({ processes = 2 * availableParallelism(), seed, only = [] }: TestOptions = {}): string[] {
  const order = seed === undefined ? [`--timings=${TIMINGS}`] : ["--randomize", `--seed=${seed}`];
  const sideBySide = `--parallel=${processes}`;
  return [process.execPath, "test", "--only-failures", `--timeout=${TIMEOUT_MS}`, sideBySide, ...order, ...only];
}
