import { appendFileSync, readFileSync } from "node:fs";
import type { Generation } from "../../src/protocol/poll.ts";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import { PythonRunner } from "../fakes/python-runner.ts";
import { BINARY, type StartedBinary } from "../harness/binary.ts";
import { World } from "../harness/world.ts";

/** A run as every coordinator shows it. */
export interface FleetRun {
  readonly run_id: string;
  readonly session_id: string;
  readonly type: string;
  readonly status: string;
  readonly error: string | null;
  readonly parent_session_id: string | null;
  readonly prompt?: string;
  readonly parameters?: { readonly prompt?: string };
}

export const promptOf = (run: FleetRun): string => run.prompt ?? run.parameters?.prompt ?? "";

/** The tag of the runners that are not Python programs. */
export const OURS = "ours";
const EXECUTOR = "keeps-a-ledger";

/** A coordinator of one kind, with a runner of ours and the Python runners that can register there. */
export class Site {
  readonly name: string;
  readonly url: string;
  readonly pythons: readonly PythonRunner[];
  readonly #fleet: Fleet;
  #runner: StartedBinary;
  readonly #runners: StartedBinary[] = [];

  constructor(fleet: Fleet, name: string, url: string, pythons: readonly PythonRunner[]) {
    this.#fleet = fleet;
    this.name = name;
    this.url = url;
    this.pythons = pythons;
    this.#runner = this.#start();
  }

  get log(): string {
    return this.#runners.map((each) => each.stdout() + each.stderr()).join("--- killed ---\n");
  }

  async submit(prompt: string, more: object = {}): Promise<string> {
    const body = { type: "start_session", prompt, parameters: { prompt }, ...more };
    const answer = await this.#json("/runs", {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json" },
    });
    return (answer as FleetRun).session_id;
  }

  async runs(): Promise<FleetRun[]> {
    return ((await this.#json("/runs")) as { runs: FleetRun[] }).runs;
  }

  async result(sessionId: string): Promise<string> {
    const answer = (await this.#json(`/sessions/${sessionId}/result`)) as { result?: string; result_text?: string };
    return answer.result ?? answer.result_text ?? "";
  }

  /** Kills the runner of ours, and starts its next process after a while. */
  async killRunner(pauseMs: number): Promise<void> {
    this.#runner.signal("SIGKILL");
    await this.#runner.exited;
    await Bun.sleep(pauseMs);
    this.#runner = this.#start();
  }

  #start(): StartedBinary {
    const args = ["--max-concurrent", "0", "--tags", OURS, "-v"];
    const started = this.#fleet.world.runner(this.url, EXECUTOR, args, { SELF: BINARY });
    this.#runners.push(started);
    return started;
  }

  async #json(path: string, init?: RequestInit): Promise<unknown> {
    const response = await fetch(this.url + path, { ...init, keepalive: false });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }
}

/**
 * Three coordinators: the built-in one, and one of each generation. Each has every kind of runner that can register
 * there: a Python runner is refused by a coordinator of the other generation.
 */
export class Fleet implements AsyncDisposable {
  readonly world = new World();
  readonly sites: Site[] = [];
  readonly fakes: FakeCoordinator[] = [];
  readonly #pythons = new AsyncDisposableStack();

  static async start(pollTimeoutSeconds: number): Promise<Fleet> {
    await using made = new AsyncDisposableStack();
    const fleet = made.use(new Fleet());
    const { api } = await fleet.world.coordinator();
    await fleet.#addSite("built-in", api.url, ["first", "second"]);
    for (const generation of ["first", "second"] as const) {
      const fake = fleet.world.own(await FakeCoordinator.start({ generation, pollTimeoutSeconds }));
      fleet.fakes.push(fake);
      await fleet.#addSite(`${generation} generation`, fake.url, [generation]);
    }
    made.move();
    return fleet;
  }

  /** How often each run was executed, by its id. */
  executions(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const line of readFileSync(this.world.path("ledger"), "utf8").split("\n").filter(Boolean)) {
      const runId = line.replace("begin ", "");
      counts.set(runId, (counts.get(runId) ?? 0) + 1);
    }
    return counts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pythons.disposeAsync();
    await this.world[Symbol.asyncDispose]();
  }

  async #addSite(name: string, url: string, generations: readonly Generation[]): Promise<void> {
    const pythons = [];
    for (const generation of generations) {
      const python = await PythonRunner.start(url, generation, async ({ runId, stdin, env }) => {
        appendFileSync(this.world.path("ledger"), `begin ${runId}\n`);
        const state = { AGENT_EXECUTOR_STATE_DIR: this.world.path("sessions") };
        return (await this.world.run(["exec-builtin", "test-executor"], { stdin, env: { ...env, ...state } })).code;
      });
      pythons.push(this.#pythons.use(python));
    }
    this.sites.push(new Site(this, name, url, pythons));
  }
}
