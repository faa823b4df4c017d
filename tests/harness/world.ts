import { mkdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { removeCgroup } from "../../src/process/run-cgroups.ts";
import { randomHex12 } from "../../src/protocol/identifiers.ts";
import { freePort } from "../faults/free-port.ts";
import { endIfAbandoned } from "./abandon.ts";
import { runBinary, startBinary, type StartedBinary } from "./binary.ts";
import { cgroupsOf, removeCgroups, type SeenCgroup } from "./cgroups.ts";
import { CoordinatorApi } from "./coordinator-api.ts";
import { commandLineOf, isWatchdog, killGroupOf, killProcess, processesWith } from "./processes.ts";
import { tempFolder } from "./temp-folder.ts";
import { until } from "./until.ts";

const FIXTURES = resolve(import.meta.dir, "../fixtures/executors");
const MARKER = "E2E_WORLD";

/** For a whole test. Its waits have shorter deadlines, which name what failed to happen. */
export const TEST_TIMEOUT_MS = 300_000;

/** Only deadlines, so that a slow machine fails no test. */
export const START_MS = 60_000;
const LEAVE_MS = 60_000;
/** The program ignores a signal that follows another one sooner than this. */
export const NOT_AN_ECHO_MS = 150;
const GONE_MS = 20_000;
/** Not every program says that it shuts down. */
const HEARD_MS = 2_000;

/** Paths of the compiled program in its output mean that it printed a stack trace instead of a message. */
const STACK_TRACE = /\$bunfs/;

/** Processes outlived their run. */
export class LeftoversFound extends Error {}

export interface StartInWorld {
  readonly env?: Readonly<Record<string, string>>;
  /** Another home folder than that of the world: another user, as far as files are concerned. */
  readonly home?: string;
  readonly stdin?: string;
  readonly maxDescriptors?: number;
  readonly shell?: string;
}

/**
 * A HOME, a project directory and all programs that one test starts. Disposing shuts the programs down, and fails the
 * test for any leftover, down to an executor's descendants: they carry the world's marker in their environment, or
 * are in a run's cgroup. A stack trace in a program's output fails the test too.
 */
export class World implements AsyncDisposable {
  readonly #folder = tempFolder();
  readonly #mark = randomHex12();
  readonly #started: StartedBinary[] = [];
  readonly #owned: AsyncDisposable[] = [];
  readonly #abandoned = endIfAbandoned(() => this.#destroy());
  readonly home: string;
  readonly projectDir: string;

  constructor() {
    this.home = join(this.#folder.path, "home");
    this.projectDir = join(this.#folder.path, "project");
    mkdirSync(this.home);
    mkdirSync(this.projectDir);
  }

  /** The cgroups of the runs of all runners in this world. */
  get cgroups(): SeenCgroup[] {
    return cgroupsOf(join(this.stateDir, "locks"));
  }

  get stateDir(): string {
    return join(this.home, "state", "agent-runner");
  }

  start(args: readonly string[], { env = {}, ...more }: StartInWorld = {}): StartedBinary {
    const options = { cwd: this.projectDir, home: this.home, env: { ...env, [MARKER]: this.#mark }, ...more };
    const started = startBinary(args, options);
    this.#started.push(started);
    return started;
  }

  async run(
    args: readonly string[],
    { env = {}, ...more }: StartInWorld = {},
  ): Promise<{ code: number; stdout: string; stderr: string }> {
    const ended = await runBinary(args, {
      cwd: this.projectDir,
      home: this.home,
      env: { ...env, [MARKER]: this.#mark },
      ...more,
    });
    refuseStackTraces([ended.stdout + ended.stderr]);
    return ended;
  }

  /** Starts a runner with a fixture executor, or a built-in one, at a coordinator. */
  runner(
    url: string,
    executor: string,
    args: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
    more: Omit<StartInWorld, "env"> = {},
  ): StartedBinary {
    return this.start(["-c", url, "-x", executor, "--executors-dir", FIXTURES, ...args], { env, ...more });
  }

  /** Starts only the built-in coordinator, without a token, and waits until it listens. */
  async coordinator(port = 0, args: readonly string[] = []): Promise<{ api: CoordinatorApi; process: StartedBinary }> {
    // A test may end it and start it again: an ephemeral port could be taken in between.
    const at = port === 0 ? await freePort() : port;
    const process = this.start(["coordinator", "--no-token", "--port", String(at), ...args]);
    const [, url = ""] = await process.line(/agent-runner -c (\S+)/, START_MS);
    return { api: new CoordinatorApi(url), process };
  }

  /** Disposes the resource after the programs have shut down, because they may need it until then. */
  own<T extends AsyncDisposable>(resource: T): T {
    this.#owned.push(resource);
    return resource;
  }

  path(name: string): string {
    return join(this.projectDir, name);
  }

  /** Waits for a file with content in the project directory: a file is empty before it is written. */
  async file(name: string, deadlineMs?: number): Promise<string> {
    await until(
      `the file ${name}`,
      () => (statSync(this.path(name), { throwIfNoEntry: false })?.size ?? 0) > 0,
      deadlineMs,
    );
    return readFileSync(this.path(name), "utf8");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const stuck: string[] = [];
    // In reverse order of start: a runner needs its coordinator to shut down.
    for (const started of this.#started.toReversed()) if (!(await shutDown(started))) stuck.push(started.stdout());
    await this.#endWatchdogs();
    for (const resource of this.#owned) await resource[Symbol.asyncDispose]();
    const left = await this.#leftovers();
    for (const { pid } of left) killProcess(pid);
    // Waits for the processes that were just killed. A leftover fails the test below, not here.
    const { cgroups } = this;
    await until("the cgroups to be gone", () => removeCgroups(cgroups), GONE_MS).catch(() => {});
    this.#folder[Symbol.dispose]();
    this.#abandoned[Symbol.dispose]();
    if (stuck.length > 0) throw new Error(`did not shut down on SIGINT; its log:\n${stuck.join("\n")}`);
    if (left.length > 0)
      throw new LeftoversFound(`leftovers: ${left.map(({ pid, command }) => `${pid} (${command})`).join(", ")}`);
    refuseStackTraces(this.#started.map(({ stdout, stderr }) => stdout() + stderr()));
  }

  /**
   * Kills everything at once, in rounds: the executors of a killed program may start processes until they are killed
   * too.
   */
  #destroy(): void {
    for (const started of this.#started) killProcess(started.pid);
    const end = performance.now() + GONE_MS;
    for (let left = this.#marked(); left.length > 0 && performance.now() < end; left = this.#marked())
      for (const pid of left) killProcess(pid);
    while (!this.cgroups.map(({ path }) => removeCgroup(path)).every(Boolean) && performance.now() < end)
      Bun.sleepSync(10);
    this.#folder[Symbol.dispose]();
  }

  /** A runner that was killed leaves its watchdog, which waits for another runner. Any other watchdog is a leftover. */
  async #endWatchdogs(): Promise<void> {
    for (const started of this.#started) {
      if ((await started.exited) !== -1) continue;
      for (const pid of this.#marked()) if (isWatchdog(pid, started.pid)) killGroupOf(pid);
    }
  }

  #marked(): number[] {
    return [...new Set([...processesWith(MARKER, this.#mark), ...this.cgroups.flatMap((cgroup) => cgroup.pids)])];
  }

  /** Gives processes that are about to end a moment. */
  async #leftovers(): Promise<{ pid: number; command: string }[]> {
    const end = performance.now() + GONE_MS;
    for (;;) {
      const left = this.#marked().map((pid) => ({ pid, command: commandLineOf(pid) }));
      if (left.length === 0 || performance.now() > end) return left;
      await Bun.sleep(20);
    }
  }
}

function refuseStackTraces(outputs: readonly string[]): void {
  const traces = outputs.filter((text) => STACK_TRACE.test(text));
  if (traces.length > 0) throw new Error(`printed a stack trace:\n${traces.join("\n")}`);
}

/** The second SIGINT makes a runner stop its runs. Kills a program that does not shut down at all. */
async function shutDown(started: StartedBinary): Promise<boolean> {
  let hasEnded = false;
  const ended = started.exited.then(() => (hasEnded = true));
  const exits = (ms: number): Promise<boolean> => Promise.race([ended, Bun.sleep(ms).then(() => false)]);
  started.signal("SIGINT");
  // A busy machine may deliver the first signal late, and the second one as its echo.
  const isHeard = (): boolean => hasEnded || started.stdout().includes("Shutting down");
  await until("the first signal to be heard", isHeard, HEARD_MS).catch(() => {});
  if (!(await exits(NOT_AN_ECHO_MS))) started.signal("SIGINT");
  const hasExited = await exits(LEAVE_MS);
  await started[Symbol.asyncDispose]();
  return hasExited;
}
