import { Registry } from "prom-client";
import type { CoordinatorCounts } from "../coordinator/coordinator.ts";
import type { RunnerStatus } from "../runner/runner-status.ts";
import { CoordinatorMetrics } from "./coordinator-metrics.ts";
import { addProcessMetrics, type Program } from "./process-metrics.ts";
import { RunnerMetrics } from "./runner-metrics.ts";

export interface Parts {
  /** Null in a program without a runner. Returns null until the runner exists. */
  readonly runner: (() => RunnerStatus | null) | null;
  /** Null in a program without a coordinator. */
  readonly coordinator: { counts(): Promise<CoordinatorCounts> } | null;
}

/** All metrics of this program, as served at `/metrics`. */
export class ProgramMetrics {
  /** Null in a program without a runner. */
  readonly runner: RunnerMetrics | null;
  readonly #registry = new Registry();
  readonly #readCoordinator: () => Promise<void>;

  constructor(program: Program, { runner, coordinator }: Parts) {
    addProcessMetrics(this.#registry, program);
    this.runner = runner === null ? null : new RunnerMetrics(this.#registry, runner);
    const metrics = coordinator === null ? null : new CoordinatorMetrics(this.#registry);
    this.#readCoordinator = async () => {
      if (coordinator !== null) metrics?.set(await coordinator.counts());
    };
  }

  async answer(): Promise<Response> {
    await this.#readCoordinator();
    return new Response(await this.#registry.metrics(), { headers: { "content-type": this.#registry.contentType } });
  }
}
