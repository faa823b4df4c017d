import * as v from "valibot";
import { delay } from "../../async/delay.ts";
import type { CoordinatorClient } from "../../client/coordinator-client.ts";
import { CoordinatorFailure } from "../../client/failure.ts";
import { parseAssignedRun } from "../../protocol/poll.ts";
import type { Run } from "../../protocol/run.ts";

/**
 * The hook of a claim that has not arrived:
 * - `none`: the agent has no hook.
 * - `working`: the hook may still block the run or change its parameters, and a poll may still bring the run.
 * - `over`: the hook has ended. The answer to the poll is lost.
 * - `unanswered`: the hook's time is over, the coordinator has dropped it, and without its word the run must not begin.
 */
export type HookState = "none" | "working" | "over" | "unanswered";

const AgentHooks = v.looseObject({
  hooks: v.looseObject({
    on_run_start: v.looseObject({
      timeout_seconds: v.fallback(v.optional(v.pipe(v.number(), v.minValue(0)), 300), 300),
      on_error: v.fallback(v.optional(v.string(), "continue"), "continue"),
    }),
  }),
});
type Hook = v.InferOutput<typeof AgentHooks>["hooks"]["on_run_start"];

/** The coordinator counts a hook's time in steps, and so takes longer than it says. */
const HOOK_GRACE_MS = 60_000;
/** Between the event of a hook's end and the parameters that the hook has changed. */
const SETTLE_MS = 500;
const EVENTS = 1_000;
const AGENTS_MS = 5 * 60_000;

/**
 * Claims that the second generation works on. Its coordinator executes the hook `on_run_start` of an agent inside the
 * poll, for minutes: the run is `claimed` by then, and not lost.
 */
export class Hooks {
  readonly #coordinator: CoordinatorClient;
  readonly #graceMs: number;
  /** When each claim was seen first. */
  readonly #sinceMs = new Map<string, number>();
  #areUsed = false;
  #agentsReadMs = -Infinity;

  constructor(coordinator: CoordinatorClient, graceMs = HOOK_GRACE_MS) {
    this.#coordinator = coordinator;
    this.#graceMs = graceMs;
  }

  /** Forgets every claim that is not among `runIds`. */
  retain(runIds: readonly string[]): void {
    for (const runId of this.#sinceMs.keys()) if (!runIds.includes(runId)) this.#sinceMs.delete(runId);
  }

  /** Whether an agent has a hook, as read in the last minutes. Rejects with a CoordinatorFailure. */
  async areUsed(): Promise<boolean> {
    if (performance.now() - this.#agentsReadMs < AGENTS_MS) return this.#areUsed;
    this.#areUsed = (await this.#coordinator.agents()).some((agent) => v.is(AgentHooks, agent));
    this.#agentsReadMs = performance.now();
    return this.#areUsed;
  }

  /**
   * The state of a claim that has not arrived. `openSinceMs`: when the oldest open poll of this process was opened, on
   * the clock of `performance.now()`; Infinity without one. A poll that is newer than the claim does not bring the run.
   * Rejects with a CoordinatorFailure.
   */
  async stateOf(run: Run, openSinceMs: number): Promise<HookState> {
    const message = parseAssignedRun(run);
    if (message.kind !== "run" || message.run.generation === "first" || message.run.agentName === null) return "none";
    const hook = await this.#hookOf(message.run.agentName);
    if (hook === null) return "none";
    const now = performance.now();
    const sinceMs = this.#sinceMs.get(run.run_id) ?? now;
    this.#sinceMs.set(run.run_id, sinceMs);
    if (now - sinceMs > hook.timeout_seconds * 1000 + this.#graceMs)
      return hook.on_error === "block" ? "unanswered" : "over";
    return openSinceMs <= sinceMs || !(await this.#hasEnded(run)) ? "working" : "over";
  }

  async #hookOf(agentName: string): Promise<Hook | null> {
    try {
      const parsed = v.safeParse(AgentHooks, await this.#coordinator.agent(agentName));
      return parsed.success ? parsed.output.hooks.on_run_start : null;
    } catch (error) {
      // The coordinator cannot read the agent either, so it executes no hook.
      if (error instanceof CoordinatorFailure && error.kind === "refused") return null;
      throw error;
    }
  }

  /** Whether the session's events tell the end of the hook. A hook that was stopped by hand leaves no such event. */
  async #hasEnded({ session_id, claimed_at }: Run): Promise<boolean> {
    const { events } = await this.#coordinator.sessionEvents(session_id, null, EVENTS);
    const last = events.findLast(
      ({ event_type, tool_name }) =>
        event_type.startsWith("hook_") && tool_name?.startsWith("hook:on_run_start:") === true,
    );
    if (last === undefined || last.event_type === "hook_start") return false;
    // The hook of an earlier run of the session. Both times are the coordinator's.
    if (claimed_at === null || !(Date.parse(last.timestamp ?? "") >= Date.parse(claimed_at))) return false;
    await delay(SETTLE_MS);
    return true;
  }
}
