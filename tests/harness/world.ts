import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { removeCgroup } from "../../src/process/run-cgroups.ts";
import { randomHex12 } from "../../src/protocol/identifiers.ts";
import { endIfAbandoned } from "./abandon.ts";
import { runBinary, startBinary, type StartedBinary } from "./binary.ts";
import { cgroupsOf, removeCgroups, type SeenCgroup } from "./cgroups.ts";
import { CoordinatorApi } from "./coordinator-api.ts";
import { commandLineOf, processesWith } from "./processes.ts";
import { tempFolder } from "./temp-folder.ts";
import { until } from "./until.ts";

const FIXTURES = resolve(import.meta.dir, "../fixtures/executors");
const MARKER = "E2E_WORLD";

/** Of a whole test; what it waits for has shorter deadlines, which say what did not come. */
export const TEST_TIMEOUT_MS = 180_000;

/** Deadlines only: a machine that is slow fails nothing. */
export const START_MS = 60_000;
const LEAVE_MS = 30_000;
/** A signal that comes sooner after another counts as the same one. */
export const NOT_AN_ECHO_MS = 150;
const GONE_MS = 2_000;

/** A compiled program's own code in what it prints: an error that nobody has put into words. */
const STACK_TRACE = /\$bunfs/;

/** Processes live that should not. */
export class LeftBehind extends Error {}

export interface StartInWorld {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly maxDescriptors?: number;
}

/**
 * A HOME, a project directory and all programs that one test starts. At its end the programs are asked to leave, and a process that is left
 * behind, an executor's grandchild included, fails the test: they carry the world's mark in their environment, or are in a run's cgroup. So
 * does a stack trace in what a program has printed.
 */
export class World implements AsyncDisposable {
  readonly #folder = tempFolder();
  readonly #mark = randomHex12();
  readonly #started: StartedBinary[] = [];
  readonly #last: AsyncDisposable[] = [];
  readonly #abandoned = endIfAbandoned(() => this.#destroy());
  readonly home: string;
  readonly projectDir: string;

  constructor() {
    this.home = join(this.#folder.path, "home");
    this.projectDir = join(this.#folder.path, "project");
    mkdirSync(this.home);
    mkdirSync(this.projectDir);
  }

  /** The cgroups of the runs of all runners here, where there are any. */
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

  /** A runner with a fixture executor (or a built-in one) at a coordinator. */
  runner(
    url: string,
    executor: string,
    args: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
    more: Omit<StartInWorld, "env"> = {},
  ): StartedBinary {
    return this.start(["-c", url, "-x", executor, "--executors-dir", FIXTURES, ...args], { env, ...more });
  }

  /** The embedded coordinator alone, listening. */
  async coordinator(port = 0, args: readonly string[] = []): Promise<{ api: CoordinatorApi; process: StartedBinary }> {
    const process = this.start(["coordinator", "--port", String(port), ...args]);
    const [, url = ""] = await process.line(/agent-runner -c (\S+)/, START_MS);
    return { api: new CoordinatorApi(url), process };
  }

  /** Closed when the programs have left: they may need it for that. */
  own<T extends AsyncDisposable>(resource: T): T {
    this.#last.push(resource);
    return resource;
  }

  path(name: string): string {
    return join(this.projectDir, name);
  }

  /** Waits for a file in the project directory and gives its content. */
  async file(name: string, deadlineMs?: number): Promise<string> {
    await until(`the file ${name}`, () => existsSync(this.path(name)), deadlineMs);
    return readFileSync(this.path(name), "utf8");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const stuck: string[] = [];
    // The last one first: a runner needs its coordinator to leave.
    for (const started of this.#started.toReversed()) if (!(await hasLeft(started))) stuck.push(started.stdout());
    for (const resource of this.#last) await resource[Symbol.asyncDispose]();
    const left = await this.#leftBehind();
    for (const { pid } of left) kill(pid);
    // What was killed a moment ago is waited for; whoever leaves something that lives on fails for that.
    const { cgroups } = this;
    await until("the cgroups are gone", () => removeCgroups(cgroups), GONE_MS).catch(() => {});
    this.#folder[Symbol.dispose]();
    this.#abandoned[Symbol.dispose]();
    if (stuck.length > 0) throw new Error(`did not leave when asked to; its log:\n${stuck.join("\n")}`);
    if (left.length > 0)
      throw new LeftBehind(`left behind: ${left.map(({ pid, command }) => `${pid} (${command})`).join(", ")}`);
    refuseStackTraces(this.#started.map(({ stdout, stderr }) => stdout() + stderr()));
  }

  /** At once and without a word to anything: a killed program's executors may start others until they are killed too. */
  #destroy(): void {
    for (const started of this.#started) kill(started.pid);
    const end = performance.now() + GONE_MS;
    for (let left = this.#marked(); left.length > 0 && performance.now() < end; left = this.#marked())
      for (const pid of left) kill(pid);
    while (!this.cgroups.map(({ path }) => removeCgroup(path)).every(Boolean) && performance.now() < end)
      Bun.sleepSync(10);
    this.#folder[Symbol.dispose]();
  }

  #marked(): number[] {
    return [...new Set([...processesWith(MARKER, this.#mark), ...this.cgroups.flatMap((cgroup) => cgroup.pids)])];
  }

  /** A process that is just ending is given its moment. */
  async #leftBehind(): Promise<{ pid: number; command: string }[]> {
    const end = performance.now() + GONE_MS;
    for (;;) {
      const left = this.#marked().map((pid) => ({ pid, command: commandLineOf(pid) }));
      if (left.length === 0 || performance.now() > end) return left;
      await Bun.sleep(20);
    }
  }
}

function refuseStackTraces(printed: readonly string[]): void {
  const traces = printed.filter((text) => STACK_TRACE.test(text));
  if (traces.length > 0) throw new Error(`printed a stack trace:\n${traces.join("\n")}`);
}

/** Twice interrupted, a runner stops what it has; one that does not leave at all is killed. */
async function hasLeft(started: StartedBinary): Promise<boolean> {
  const exits = (ms: number): Promise<boolean> =>
    Promise.race([started.exited.then(() => true), Bun.sleep(ms).then(() => false)]);
  started.signal("SIGINT");
  if (!(await exits(NOT_AN_ECHO_MS))) started.signal("SIGINT");
  const hasExited = await exits(LEAVE_MS);
  await started[Symbol.asyncDispose]();
  return hasExited;
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Gone meanwhile.
  }
}
