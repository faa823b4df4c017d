import { describeError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Agents } from "../agents/agents.ts";
import type { Claims } from "./claims.ts";
import type { PollWaiters } from "../runners/poll-waiters.ts";
import type { OutputWanted } from "../../protocol/run-output.ts";
import type { RunOutputs } from "../runners/run-outputs.ts";
import { type Found, OpenPoll } from "./open-poll.ts";
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
 * stop or a registration wakes it through `PollWaiters`, after the commit.
 */
export class Polls {
  readonly #parts: PollParts;
  /** When each stop was last delivered, per runner and run. After a restart, all stops are delivered again. */
  readonly #stopsSentAt = new Map<string, ReadonlyMap<string, number>>();

  constructor(parts: PollParts) {
    this.#parts = parts;
  }

  /**
   * Answers one poll of the runner, by its row as it was when its call was checked. With `takesRuns: false`: stops and
   * deregistration only. A closed connection claims nothing. Refuses: unavailable, on a fault of the database.
   */
  poll(caller: RunnerRow, takesRuns: boolean, signal: AbortSignal): Promise<PollAnswer> {
    const { waiters, log, pollTimeoutMs } = this.#parts;
    const runnerId = caller.runner_id;
    if (signal.aborted) return Promise.resolve(null);
    const poll = new OpenPoll<PollAnswer>({
      runnerId,
      offer: takesRuns ? offerOf(caller) : null,
      signal,
      timeoutMs: pollTimeoutMs,
      look: (isOver) => this.#find(caller, takesRuns, isOver),
      nextLookMs: () => this.#untilRedelivery(runnerId),
      onFault: (error) => log.error(`Could not answer a poll: ${describeError(error)}`, { runner: runnerId }),
      onEnd: (ended) => waiters.remove(ended),
    });
    // Before the first look: a wake-up during the look would be missed.
    waiters.add(poll);
    void poll.tryAnswer();
    return poll.answer;
  }

  /** Stops come first, so that a stream of new runs cannot delay them. */
  async #find(caller: RunnerRow, takesRuns: boolean, isOver: () => boolean): Promise<Found<PollAnswer> | null> {
    const { runners, claims, outputs, log } = this.#parts;
    const runnerId = caller.runner_id;
    const runner = await runners.find(runnerId);
    if (runner === null) return { answer: { deregistered: true } };
    // Another process has registered since, and this call is none of its.
    if (isOver() || runner.instance_id !== caller.instance_id) return null;
    const stops = await this.#dueStops(runnerId);
    if (stops.due.length > 0) return { answer: await this.#stopsFor(runner, stops.due), given: stops.given };
    if (runner.deregistered) return this.#remove(runnerId, isOver);
    const run = takesRuns && !isOver() ? await claims.claim(runner) : null;
    if (run === null) return isOver() ? null : outputRequests(outputs.due(runnerId));
    const takeBack = (): Promise<void> => claims.takeBackUnread(run);
    if (isOver()) return { answer: null, takeBack };
    log.info("Run claimed", { run: run.run_id, session: run.session_id, runner: runnerId });
    if (runner.generation === "first") return { answer: { run: wireRun(run) }, takeBack };
    const blueprint = await this.#blueprintOf(run, runnerId);
    if (blueprint === undefined) return this.#find(caller, takesRuns, isOver);
    return { answer: { run: runForSecond(run, blueprint) }, takeBack };
  }

  async #remove(runnerId: string, isOver: () => boolean): Promise<Found<PollAnswer> | null> {
    const { transitions, log } = this.#parts;
    if (isOver()) return null;
    await transitions.removeRunner(runnerId, false);
    log.info("Runner deregistered", { runner: runnerId });
    return { answer: { deregistered: true } };
  }

  async #stopsFor({ generation }: RunnerRow, stops: string[]): Promise<PollAnswer> {
    if (generation === "first") return { stop_runs: stops };
    const sessions = new Set<string>();
    for (const runId of stops) sessions.add((await this.#parts.runs.get(runId)).session_id);
    return { stop_runs: stops, stop_sessions: [...sessions] };
  }

  /** Undefined for an agent that does not exist: the run has failed. It must not be executed without its agent. */
  async #blueprintOf({ run_id, agent_name }: RunRow, runnerId: string): Promise<unknown> {
    const { agents, transitions } = this.#parts;
    if (agent_name === null) return null;
    try {
      return await agents.get(agent_name);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const ending = { status: "failed", error: `Blueprint not found: ${agent_name}`, reason: "not_started" } as const;
      await transitions.ended(run_id, runnerId, ending);
      return undefined;
    }
  }

  /**
   * The runs that the runner must stop, without recently delivered stops. The status of the run decides, not the
   * request: a stop in a lost answer is delivered again.
   */
  async #dueStops(runnerId: string): Promise<{ readonly due: string[]; readonly given: () => void }> {
    const stopping = await this.#parts.runs.stoppingOf(runnerId);
    const sentAt = this.#stopsSentAt.get(runnerId);
    const now = performance.now();
    const due = stopping.filter((runId) => now - (sentAt?.get(runId) ?? -Infinity) >= this.#parts.stopRedeliveryMs);
    const sent = stopping.flatMap((runId) => {
      const at = sentAt?.get(runId);
      return at === undefined ? [] : [[runId, at] as const];
    });
    this.#setSent(runnerId, sent);
    return { due, given: () => this.#setSent(runnerId, [...sent, ...due.map((runId) => [runId, now] as const)]) };
  }

  #setSent(runnerId: string, sent: readonly (readonly [runId: string, atMs: number])[]): void {
    if (sent.length === 0) this.#stopsSentAt.delete(runnerId);
    else this.#stopsSentAt.set(runnerId, new Map(sent));
  }

  #untilRedelivery(runnerId: string): number | null {
    const sentAt = this.#stopsSentAt.get(runnerId);
    if (!sentAt || sentAt.size === 0) return null;
    return Math.max(1, Math.min(...sentAt.values()) + this.#parts.stopRedeliveryMs - performance.now());
  }
}

/** Requests for output have the lowest priority: a viewer can wait. */
function outputRequests({ wanted, handedOut }: ReturnType<RunOutputs["due"]>): Found<PollAnswer> | null {
  return wanted.length === 0 ? null : { answer: { output_wanted: wanted }, given: handedOut };
}
