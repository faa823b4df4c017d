import { readFileSync } from "node:fs";
import { BINARY, type StartedBinary } from "../harness/binary.ts";
import { CoordinatorApi } from "../harness/coordinator-api.ts";
import { until } from "../harness/until.ts";
import { World } from "../harness/world.ts";
import { type Behaviour, promptOf } from "./behaviour.ts";
import { FaultProxy } from "./fault-proxy.ts";
import { freePort } from "./free-port.ts";

/** A run as it was ordered. */
export interface OrderedRun {
  readonly runId: string;
  readonly sessionId: string;
  readonly behaviour: Behaviour;
  isStopAsked: boolean;
}

/** What `GET /runs/{id}` says. */
export interface SeenRun {
  readonly status: string;
  readonly error: string | null;
}

const TERMINAL = new Set(["completed", "failed", "stopped"]);

/**
 * One coordinator, one runner, and a fault proxy between them, each a real process or socket of its own that can be killed and started
 * again. The tests themselves speak with the coordinator directly.
 */
export class FaultWorld implements AsyncDisposable {
  readonly world: World;
  readonly runs: OrderedRun[] = [];
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

  /** With a coordinator; the runner is started by `startRunner`. */
  static async start(options: { readonly runnerArgs?: readonly string[] } = {}): Promise<FaultWorld> {
    await using started = new AsyncDisposableStack();
    const world = started.use(new World());
    const port = await freePort();
    const created = new FaultWorld(world, port, await FaultProxy.start(port), options.runnerArgs ?? []);
    await created.startCoordinator();
    started.move();
    return created;
  }

  get coordinatorPort(): number {
    return this.#port;
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

  /** The logs of all runners that there were. */
  get runnerLogs(): string {
    return this.#runners.map((runner) => runner.stdout() + runner.stderr()).join("--- killed ---\n");
  }

  async submit(behaviour: Behaviour): Promise<OrderedRun> {
    const { run_id, session_id } = await this.api.submit(promptOf(behaviour));
    const run = { runId: run_id, sessionId: session_id, behaviour, isStopAsked: false };
    this.runs.push(run);
    return run;
  }

  /** Nothing happens if the run has ended. */
  async stop(run: OrderedRun): Promise<void> {
    const response = await fetch(`${this.api.url}/runs/${run.runId}/stop`, { method: "POST", keepalive: false });
    if (response.ok) run.isStopAsked = true;
    else if (response.status !== 400) throw new Error(`stop ${run.runId}: ${response.status} ${await response.text()}`);
  }

  /** Waits until the coordinator shows every run (from the `from`-th on) ended; the status of each, which at the deadline may be another. */
  async ended(deadlineMs: number, from = 0): Promise<Map<string, SeenRun>> {
    const end = performance.now() + deadlineMs;
    const seen = new Map<string, SeenRun>();
    for (const { runId } of this.runs.slice(from)) {
      for (;;) {
        const run = await this.api.run(runId);
        seen.set(runId, run);
        if (TERMINAL.has(run.status) || performance.now() > end) break;
        await Bun.sleep(20);
      }
    }
    return seen;
  }

  /** Waits until executors have told of so many beginnings (or ends). */
  async told(what: "begin" | "end", count: number, deadlineMs?: number): Promise<void> {
    const counted = (): number => this.ledger().filter((line) => line.startsWith(`${what} `)).length;
    await until(
      () => `${count} times "${what}" in the ledger, which has ${counted()}`,
      () => counted() >= count,
      deadlineMs,
    );
  }

  /** What the executors have told, a line each. */
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
