import { describeError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Agents } from "../agents/agents.ts";
import type { Claims } from "./claims.ts";
import type { PollWaiters, Waiter } from "../runners/poll-waiters.ts";
import type { OutputWanted } from "../../protocol/run-output.ts";
import type { RunOutputs } from "../runners/run-outputs.ts";
import type { RunTransitions } from "./run-transitions.ts";
import { offerOf, type RunnerRow, type Runners } from "../runners/runners.ts";
import { Refusal } from "../store/refusal.ts";
import { type RunRow, wireRun } from "../store/run-row.ts";
import { runForSecond } from "./second-generation.ts";
import type { Runs } from "./runs.ts";

/** The answer to a poll (`docs/protocol.md`, section 3); null: nothing to deliver. */
export type PollAnswer =
  | { run: unknown }
  | { stop_runs: string[]; stop_sessions?: string[] }
  | { deregistered: true }
  | { output_wanted: OutputWanted[] }
  | null;

export interface PollParts {
  readonly runners: Runners;
  readonly runs: Runs;
  readonly claims: Claims;
  readonly transitions: RunTransitions;
  readonly agents: Pick<Agents, "get">;
  readonly waiters: PollWaiters;
  readonly outputs: RunOutputs;
  readonly log: Log;
  readonly pollTimeoutMs: number;
  readonly stopRedeliveryMs: number;
}

/**
 * The long poll. Answers at once if there is something to deliver. Otherwise the poll waits: every change of a run, a
 * stop or a registration wakes it through `PollWaiters`, in the same tick.
 */
export class Polls {
  readonly #parts: PollParts;
  /** When each stop was last delivered, per runner and run. After a restart, all stops are delivered again. */
  readonly #stopsSentAt = new Map<string, ReadonlyMap<string, number>>();

  constructor(parts: PollParts) {
    this.#parts = parts;
  }

  /** Answers one poll. With `takesRuns: false`: stops and deregistration only. A closed connection claims nothing. */
  poll(runnerId: string, takesRuns: boolean, signal: AbortSignal): Promise<PollAnswer> {
    const { runners, waiters } = this.#parts;
    waiters.supersede(runnerId);
    const runner = runners.require(runnerId);
    if (signal.aborted) return Promise.resolve(null);
    const found = this.#find(runnerId, takesRuns);
    if (found) return Promise.resolve(found);
    return this.#wait(runnerId, takesRuns ? offerOf(runner) : null, signal);
  }

  #wait(runnerId: string, offer: Waiter["offer"], signal: AbortSignal): Promise<PollAnswer> {
    const { waiters, log, pollTimeoutMs } = this.#parts;
    return new Promise((resolve) => {
      let redelivery: Timer | undefined;
      const finish = (answer: PollAnswer): void => {
        clearTimeout(timeout);
        clearTimeout(redelivery);
        signal.removeEventListener("abort", end);
        waiters.remove(waiter);
        resolve(answer);
      };
      const tryAnswer = (): boolean => {
        try {
          const answer = this.#find(runnerId, offer !== null);
          if (answer) finish(answer);
          else scheduleRedelivery();
          return answer !== null;
        } catch (error) {
          log.error(`Could not answer a poll: ${describeError(error)}`, { runner: runnerId });
          return false;
        }
      };
      const scheduleRedelivery = (): void => {
        clearTimeout(redelivery);
        const ms = this.#untilRedelivery(runnerId);
        if (ms !== null) redelivery = setTimeout(tryAnswer, ms);
      };
      const end = (): void => finish(null);
      const waiter: Waiter = { runnerId, offer, tryAnswer, end };
      const timeout = setTimeout(end, pollTimeoutMs);
      signal.addEventListener("abort", end, { once: true });
      waiters.add(waiter);
      scheduleRedelivery();
    });
  }

  /** Stops come first, so that a stream of new runs cannot delay them. */
  #find(runnerId: string, takesRuns: boolean): PollAnswer {
    const { runners, claims, transitions, outputs, log } = this.#parts;
    const runner = runners.find(runnerId);
    if (runner === null) return { deregistered: true };
    const stops = this.#dueStops(runnerId);
    if (stops.length > 0) return this.#stopsFor(runner, stops);
    if (runner.deregistered) {
      transitions.removeRunner(runnerId, false);
      log.info("Runner deregistered", { runner: runnerId });
      return { deregistered: true };
    }
    const run = takesRuns ? claims.claim(runner) : null;
    if (run === null) return outputRequests(outputs.due(runnerId));
    log.info("Run claimed", { run: run.run_id, session: run.session_id, runner: runnerId });
    if (runner.generation === "first") return { run: wireRun(run) };
    const blueprint = this.#blueprintOf(run, runnerId);
    return blueprint === undefined ? this.#find(runnerId, takesRuns) : { run: runForSecond(run, blueprint) };
  }

  #stopsFor({ generation }: RunnerRow, stops: string[]): PollAnswer {
    if (generation === "first") return { stop_runs: stops };
    const { runs } = this.#parts;
    return { stop_runs: stops, stop_sessions: [...new Set(stops.map((runId) => runs.get(runId).session_id))] };
  }

  /** Undefined for an agent that does not exist: the run has failed. It must not be executed without its agent. */
  #blueprintOf({ run_id, agent_name }: RunRow, runnerId: string): unknown {
    const { agents, transitions } = this.#parts;
    if (agent_name === null) return null;
    try {
      return agents.get(agent_name);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const ending = { status: "failed", error: `Blueprint not found: ${agent_name}`, reason: "not_started" } as const;
      transitions.ended(run_id, runnerId, ending);
      return undefined;
    }
  }

  /**
   * The runs that the runner must stop, without recently delivered stops. The status of the run decides, not the
   * request: a stop in a lost answer is delivered again.
   */
  #dueStops(runnerId: string): string[] {
    const stopping = this.#parts.runs.stoppingOf(runnerId);
    const sentAt = this.#stopsSentAt.get(runnerId);
    const now = performance.now();
    const due = stopping.filter((runId) => now - (sentAt?.get(runId) ?? -Infinity) >= this.#parts.stopRedeliveryMs);
    if (stopping.length === 0) this.#stopsSentAt.delete(runnerId);
    else
      this.#stopsSentAt.set(
        runnerId,
        new Map(stopping.map((runId) => [runId, due.includes(runId) ? now : (sentAt?.get(runId) ?? now)])),
      );
    return due;
  }

  #untilRedelivery(runnerId: string): number | null {
    const sentAt = this.#stopsSentAt.get(runnerId);
    if (!sentAt || sentAt.size === 0) return null;
    return Math.max(1, Math.min(...sentAt.values()) + this.#parts.stopRedeliveryMs - performance.now());
  }
}

/** Requests for output have the lowest priority: a viewer can wait. */
function outputRequests(due: OutputWanted[]): PollAnswer {
  return due.length === 0 ? null : { output_wanted: due };
}
