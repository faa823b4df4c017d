import { readFileSync } from "node:fs";
import { BINARY, type StartedBinary } from "../harness/binary.ts";
import { CoordinatorApi } from "../harness/coordinator-api.ts";
import { until } from "../harness/until.ts";
import { World } from "../harness/world.ts";
import { type Behaviour, promptOf } from "./behaviour.ts";
import { FaultProxy } from "./fault-proxy.ts";
import { freePort } from "./free-port.ts";

/** A run as the test submitted it. */
export interface SubmittedRun {
  readonly runId: string;
  readonly sessionId: string;
  readonly behaviour: Behaviour;
  isStopRequested: boolean;
}

/** The answer of `GET /runs/{id}`. */
export interface RunState {
  readonly status: string;
  readonly error: string | null;
}

const TERMINAL = new Set(["completed", "failed", "stopped"]);

/**
 * One coordinator, one runner, and a fault proxy between them. Coordinator and runner are real processes that can be
 * killed and restarted. The test itself calls the coordinator directly.
 */
export class FaultWorld implements AsyncDisposable {
  readonly world: World;
  readonly runs: SubmittedRun[] = [];
  readonly api: CoordinatorApi;
  readonly proxy: FaultProxy;
  readonly #port: number;
  readonly #runnerArgs: readonly string[];
  #coordinator: StartedBinary | null = null;
  #runner: StartedBinary | null = null;
  readonly #runners: StartedBinary[] = [];

  private constructor(world: World, port: number, proxy: FaultProxy, runnerArgs: readonly string[]) {
    this.world = world;
    this.#port = port;
    this.proxy = world.own(proxy);
    this.api = new CoordinatorApi(`http://127.0.0.1:${port}`);
    this.#runnerArgs = runnerArgs;
  }

  /** Starts the coordinator and the proxy, but no runner: call `startRunner`. */
  static async start(options: { readonly runnerArgs?: readonly string[] } = {}): Promise<FaultWorld> {
    await using started = new AsyncDisposableStack();
    const world = started.use(new World());
    const port = await freePort();
    const created = new FaultWorld(world, port, await FaultProxy.start(port), options.runnerArgs ?? []);
    await created.startCoordinator();
    started.move();
    return created;
  }

  get isCoordinatorUp(): boolean {
    return this.#coordinator !== null;
  }

  get runner(): StartedBinary {
    if (this.#runner === null) throw new Error("there is no runner");
    return this.#runner;
  }

  get isRunnerUp(): boolean {
    return this.#runner !== null;
  }

  async startCoordinator(): Promise<void> {
    this.#coordinator = (await this.world.coordinator(this.#port)).process;
  }

  async killCoordinator(): Promise<void> {
    await kill(this.#coordinator);
    this.#coordinator = null;
  }

  startRunner(): StartedBinary {
    this.#runner = this.world.runner(this.proxy.url, "does-as-told", this.#runnerArgs, { SELF: BINARY });
    this.#runners.push(this.#runner);
    return this.#runner;
  }

  async killRunner(): Promise<void> {
    await kill(this.#runner);
    this.#runner = null;
  }

  /** The logs of all runner processes. */
  get runnerLogs(): string {
    return this.#runners.map((runner) => runner.stdout() + runner.stderr()).join("--- killed ---\n");
  }

  async submit(behaviour: Behaviour): Promise<SubmittedRun> {
    const { run_id, session_id } = await this.api.submit(promptOf(behaviour));
    const run = { runId: run_id, sessionId: session_id, behaviour, isStopRequested: false };
    this.runs.push(run);
    return run;
  }

  /** Does nothing if the run has ended. */
  async stop(run: SubmittedRun): Promise<void> {
    const response = await fetch(`${this.api.url}/runs/${run.runId}/stop`, { method: "POST", keepalive: false });
    if (response.ok) run.isStopRequested = true;
    else if (response.status !== 400) throw new Error(`stop ${run.runId}: ${response.status} ${await response.text()}`);
  }

  /**
   * Waits until every run from index `from` on has ended, and returns their states. At the deadline, some may not
   * have ended.
   */
  async ended(deadlineMs: number, from = 0): Promise<Map<string, RunState>> {
    const end = performance.now() + deadlineMs;
    const states = new Map<string, RunState>();
    for (const { runId } of this.runs.slice(from)) {
      for (;;) {
        const run = await this.api.run(runId);
        states.set(runId, run);
        if (TERMINAL.has(run.status) || performance.now() > end) break;
        await Bun.sleep(20);
      }
    }
    return states;
  }

  /** Waits until the ledger has this number of starts or ends. */
  async recorded(what: "begin" | "end", count: number, deadlineMs?: number): Promise<void> {
    const counted = (): number => this.ledger().filter((line) => line.startsWith(`${what} `)).length;
    await until(
      () => `${count} times "${what}" in the ledger, which has it ${counted()} times`,
      () => counted() >= count,
      deadlineMs,
    );
  }

  /** The lines that executors wrote at their start and end. */
  ledger(): string[] {
    try {
      return readFileSync(this.world.path("ledger"), "utf8").split("\n").filter(Boolean);
    } catch {
      return [];
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]();
  }
}

async function kill(started: StartedBinary | null): Promise<void> {
  started?.signal("SIGKILL");
  await started?.exited;
}
