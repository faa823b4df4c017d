import { Counter, Gauge, type Registry } from "prom-client";
import type { CoordinatorCounts } from "../coordinator/coordinator.ts";

/** The metrics of a coordinator. */
export class CoordinatorMetrics {
  readonly #runs: Gauge<"status">;
  readonly #waiting: Gauge<"for">;
  readonly #runners: Gauge<"status">;
  readonly #ended: Counter<"status">;
  readonly #answers: Counter<"code">;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#runs = new Gauge({
      name: "agent_coordinator_runs",
      help: "Runs that have not ended, by status.",
      labelNames: ["status"],
      registers,
    });
    this.#waiting = new Gauge({
      name: "agent_coordinator_runs_waiting",
      help:
        "Pending runs by what they wait for: a matching runner, their turn in their session, their scheduled time, " +
        "or the pause before a retry.",
      labelNames: ["for"],
      registers,
    });
    this.#runners = new Gauge({
      name: "agent_coordinator_runners",
      help: "Registered runners. A stale runner has sent nothing for too long.",
      labelNames: ["status"],
      registers,
    });
    this.#ended = new Counter({
      name: "agent_coordinator_runs_ended_total",
      help: "Runs that have ended, by status.",
      labelNames: ["status"],
      registers,
    });
    this.#answers = new Counter({
      name: "agent_coordinator_http_answers_total",
      help: "Requests, by the class of their answer's status.",
      labelNames: ["code"],
      registers,
    });
  }

  /** Call before each scrape. */
  set({ runs: { pending, ...active }, runners, ended, answers }: CoordinatorCounts): void {
    const all = Object.values(pending).reduce((sum, count) => sum + count, 0);
    for (const [status, count] of Object.entries({ pending: all, ...active })) this.#runs.set({ status }, count);
    for (const [reason, count] of Object.entries(pending)) this.#waiting.set({ for: reason }, count);
    for (const [status, count] of Object.entries(runners)) this.#runners.set({ status }, count);
    // The coordinator counts: these counters only copy its totals.
    this.#ended.reset();
    for (const [status, count] of Object.entries(ended)) this.#ended.inc({ status }, count);
    this.#answers.reset();
    for (const [code, count] of Object.entries(answers)) this.#answers.inc({ code }, count);
  }
}
