import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { StartedBinary } from "../harness/binary.ts";
import { CoordinatorApi, type ShownRun } from "../harness/coordinator-api.ts";
import { killProcess, processesWith } from "../harness/processes.ts";
import { until } from "../harness/until.ts";
import { World } from "../harness/world.ts";
import { freePort } from "./free-port.ts";

const MACHINE = "E2E_MACHINE";

/** A run as `GET /runs` lists it. */
export interface ListedRun extends ShownRun {
  readonly run_id: string;
  readonly prompt: string;
  readonly parent_session_id: string | null;
  readonly execution_mode: string;
  readonly attempt: number;
  readonly max_attempts: number;
  readonly claimed_at: string | null;
  readonly started_at: string | null;
  readonly completed_at: string | null;
}

/** How often the executor of each run began and came to its own end. */
export interface Ledger {
  readonly begun: ReadonlyMap<string, number>;
  readonly ended: ReadonlyMap<string, number>;
}

export interface CoordinatorStart {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Further variables, for which a folder of the world is needed. */
  readonly envOf?: (folder: string) => Readonly<Record<string, string>>;
}

/** A coordinator on a fixed port whose database can be put back, and runners with state folders that can be deleted. */
export class Machines implements AsyncDisposable {
  readonly world: World;
  readonly api: CoordinatorApi;
  readonly #port: number;
  readonly #args: readonly string[];
  readonly #env: Readonly<Record<string, string>>;
  readonly #names = new Set<string>();
  readonly #runners = new Map<string, StartedBinary>();
  readonly #everyRunner: StartedBinary[] = [];
  #coordinator: StartedBinary | undefined;
  #logs = "";

  private constructor(world: World, port: number, start: CoordinatorStart) {
    this.world = world;
    this.#port = port;
    this.#args = start.args ?? [];
    this.#env = { ...start.env, ...start.envOf?.(world.projectDir) };
    this.api = new CoordinatorApi(`http://127.0.0.1:${port}`);
  }

  static async start(start: CoordinatorStart = {}): Promise<Machines> {
    await using started = new AsyncDisposableStack();
    const machines = new Machines(started.use(new World()), await freePort(), start);
    await machines.startCoordinator();
    started.move();
    return machines;
  }

  /** The log of all processes of the coordinator. */
  get log(): string {
    return this.#logs + (this.#coordinator?.stdout() ?? "") + (this.#coordinator?.stderr() ?? "");
  }

  /** The logs of all runner processes. */
  get runnerLogs(): string {
    return this.#everyRunner.map((runner) => runner.stdout() + runner.stderr()).join("---\n");
  }

  get coordinator(): StartedBinary {
    if (this.#coordinator === undefined) throw new Error("there is no coordinator");
    return this.#coordinator;
  }

  get database(): string {
    return join(this.world.stateDir, "coordinator.sqlite");
  }

  async startCoordinator(): Promise<void> {
    this.#logs = this.log;
    const args = ["coordinator", "--no-token", "--port", String(this.#port), ...this.#args];
    this.#coordinator = this.world.start(args, { env: this.#env });
    await this.#coordinator.line(/agent-runner -c (\S+)/, 60_000);
  }

  async killCoordinator(): Promise<void> {
    this.#coordinator?.signal("SIGKILL");
    await this.#coordinator?.exited;
  }

  /** What `sqlite3 .backup` or a copy of a stopped coordinator's file gives. */
  async backUp(): Promise<void> {
    await this.killCoordinator();
    for (const suffix of ["", "-wal"])
      if (existsSync(this.database + suffix)) copyFileSync(this.database + suffix, `${this.database + suffix}.backup`);
    await this.startCoordinator();
  }

  async restore(): Promise<void> {
    await this.killCoordinator();
    for (const suffix of ["", "-wal", "-shm"]) rmSync(this.database + suffix, { force: true });
    for (const suffix of ["", "-wal"]) {
      const backup = `${this.database + suffix}.backup`;
      if (existsSync(backup)) copyFileSync(backup, this.database + suffix);
    }
    await this.startCoordinator();
  }

  /**
   * A runner with a state folder, a project directory and so an identity of its own. Runs of `submit` share a folder.
   */
  runner(name: string, executor = "waits-for-release"): StartedBinary {
    mkdirSync(this.#projectOf(name), { recursive: true });
    return this.#startRunner(name, executor, this.#projectOf(name));
  }

  /** A run in the project directory of the world. */
  submit(fields: Readonly<Record<string, unknown>> = {}): Promise<{ run_id: string; session_id: string }> {
    return this.api.submit("x", { project_dir: this.world.projectDir, ...fields });
  }

  /** A runner with a state folder, a project directory and so an identity of its own: another machine. */
  machine(name: string, env: Readonly<Record<string, string>> = {}): StartedBinary {
    mkdirSync(this.#projectOf(name), { recursive: true });
    this.#names.add(name);
    return this.#startRunner(name, "does-as-told", this.#projectOf(name), env);
  }

  #startRunner(
    name: string,
    executor: string,
    project: string,
    env: Readonly<Record<string, string>> = {},
  ): StartedBinary {
    const args = ["--state-dir", this.world.path(`state-${name}`), "-t", name, "-p", project];
    const runner = this.world.runner(this.api.url, executor, args, {
      HEARTBEAT_INTERVAL: "0.3",
      RUNNER_LOCKS_DIR: "",
      XDG_RUNTIME_DIR: this.world.path(`runtime-${name}`),
      [MACHINE]: this.#markOf(name),
      ...env,
    });
    this.#runners.set(name, runner);
    this.#everyRunner.push(runner);
    return runner;
  }

  wipe(name: string): void {
    rmSync(this.world.path(`state-${name}`), { recursive: true, force: true });
  }

  /** Ends the runner and everything that it started, as the loss of its power does. */
  async losePower(runner: StartedBinary, runId: string): Promise<void> {
    runner.signal("SIGKILL");
    await runner.exited;
    for (const pid of processesWith("AGENT_RUN_ID", runId)) killProcess(pid);
    await until("the executor to be gone", () => processesWith("AGENT_RUN_ID", runId).length === 0);
  }

  /** Ends everything on the machine at once and deletes its state folder. */
  async loseMachine(name: string): Promise<void> {
    const runner = this.#runners.get(name);
    runner?.signal("SIGKILL");
    for (let alive = this.#processesOf(name); alive.length > 0; alive = this.#processesOf(name))
      for (const pid of alive) killProcess(pid);
    await runner?.exited;
    this.wipe(name);
    rmSync(this.world.path(`runtime-${name}`), { recursive: true, force: true });
  }

  status = async (runId: string): Promise<string> => (await this.api.run(runId)).status;

  async becomes(runId: string, status: string): Promise<void> {
    await until(`the run to be ${status}`, async () => (await this.status(runId)) === status);
  }

  async release(runId: string): Promise<void> {
    await Bun.write(this.world.path(`${runId}.release`), "0");
  }

  /** How often an executor began with the run. */
  async timesBegun(runId: string): Promise<number> {
    const order = await Bun.file(this.world.path("order"))
      .text()
      .catch(() => "");
    return order.split("\n").filter((line) => line === `begin ${runId}`).length;
  }

  /** All runs that the coordinator has. */
  async runs(): Promise<ListedRun[]> {
    return (await this.api.runs()) as unknown as ListedRun[];
  }

  /** What the executors of all machines wrote. */
  ledger(): Ledger {
    const begun = new Map<string, number>();
    const ended = new Map<string, number>();
    for (const name of this.#names) {
      const file = join(this.#projectOf(name), "ledger");
      if (!existsSync(file)) continue;
      for (const line of readFileSync(file, "utf8").split("\n")) {
        const [what, runId = ""] = line.split(" ");
        const counts = what === "begin" ? begun : what === "end" ? ended : undefined;
        counts?.set(runId, (counts.get(runId) ?? 0) + 1);
      }
    }
    return { begun, ended };
  }

  #projectOf(name: string): string {
    return this.world.path(`machine-${name}`);
  }

  #markOf(name: string): string {
    return `${this.#port}-${name}`;
  }

  #processesOf(name: string): number[] {
    return processesWith(MACHINE, this.#markOf(name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]();
  }
}
