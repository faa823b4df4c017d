import type { CreationLimits } from "../../protocol/creation-limits.ts";
import { exceededLimit, howToRaise } from "../../protocol/creation-limits.ts";
import type { CreateRun, Demands } from "../../protocol/run.ts";
import type { Agents } from "../agents/agents.ts";
import { conflictOf, mergeDemands } from "../runners/demands.ts";
import { shapeOf } from "../sessions/tree-shape.ts";
import { Refusal } from "../store/refusal.ts";
import { askedDemandsOf, type RunRow } from "../store/run-row.ts";
import type { Store } from "../store/store.ts";
import { FIRST_DELAY_SECONDS } from "./retries.ts";
import type { Runs } from "./runs.ts";

export interface BoundsParts {
  readonly store: Store;
  readonly runs: Runs;
  readonly agents: Pick<Agents, "demandsOf">;
}

type OwnRun = Pick<RunRow, "run_id" | "priority" | "max_attempts" | "retry_delay_seconds" | "asked_demands">;

/** A run that this coordinator lost (a restored backup) bounds as one that was submitted without any of them. */
const UNKNOWN_RUN: OwnRun = {
  run_id: "the run",
  priority: 0,
  max_attempts: 1,
  retry_delay_seconds: null,
  asked_demands: null,
};

/**
 * Bounds what agents create. A tree has limits, and a run that an agent creates is bounded by the agent's own run: its
 * priority, attempts, retry delay and demands. More is refused, so that the agent knows; what the agent leaves open
 * becomes the tighter one of the default and the own run's.
 */
export class CreationBounds {
  readonly #parts: BoundsParts;

  constructor(parts: BoundsParts) {
    this.#parts = parts;
  }

  /** Call in the transaction that creates the run; returns what to create. Refuses: forbidden, conflict. */
  async admit(body: CreateRun, limits: CreationLimits | null): Promise<CreateRun> {
    if (limits === null) return body;
    const { store, runs } = this.#parts;
    const sessionId = body.type === "start_session" ? body.parent_session_id : body.session_id;
    if (sessionId != null) await store.lockTree(sessionId);
    const exceeded =
      sessionId == null
        ? null
        : exceededLimit({ kind: body.type, sessionId }, limits.tree, await shapeOf(store, sessionId));
    if (exceeded !== null) throw new Refusal("forbidden", exceeded);
    await this.#requireNewSession(body);
    if (limits.run === null) return body;
    const own: OwnRun = (await runs.find(limits.run.runId)) ?? UNKNOWN_RUN;
    return {
      ...body,
      priority: priorityOf(body, own),
      max_attempts: attemptsOf(body, own, limits.run.maxAttempts),
      retry_delay_seconds: retryDelayOf(body, own),
      additional_demands: limits.run.anywhere ? body.additional_demands : await this.#demandsOf(body, own),
    };
  }

  /** The runs of a deleted session stay. An agent that took its id would have them in its own tree. */
  async #requireNewSession({ type, session_id }: CreateRun): Promise<void> {
    if (type !== "start_session" || session_id == null) return;
    const known = "SELECT 1 FROM runs INDEXED BY runs_by_session WHERE session_id = ? LIMIT 1";
    if ((await this.#parts.store.get(known, session_id)) !== null)
      throw new Refusal("conflict", `The session id ${session_id} is or was in use: choose another one, or none`);
  }

  /** The demands that the own run was submitted with hold for all that comes from it, a blueprint's own included. */
  async #demandsOf(body: CreateRun, own: OwnRun): Promise<Demands | null | undefined> {
    const asked = askedDemandsOf(own);
    if (asked === null) return body.additional_demands;
    const agentName = body.agent_name ?? (await this.#agentOfSession(body));
    const blueprint = await this.#parts.agents.demandsOf(agentName);
    const conflict = conflictOf(asked, mergeDemands(blueprint, body.additional_demands));
    if (conflict !== null) {
      throw refusal(
        `The run may be executed only where ${own.run_id} may be: ${conflict} is demanded otherwise.`,
        "RUNNER_CHILDREN_ANYWHERE",
        "limits.children_anywhere",
      );
    }
    return mergeDemands(asked, body.additional_demands);
  }

  async #agentOfSession({ type, session_id }: CreateRun): Promise<string | null> {
    if (type === "start_session" || session_id == null) return null;
    return (
      (
        await this.#parts.store.get<{ agent_name: string | null }>(
          "SELECT agent_name FROM sessions WHERE session_id = ?",
          session_id,
        )
      )?.agent_name ?? null
    );
  }
}

function priorityOf({ priority }: CreateRun, own: OwnRun): number {
  if (priority == null) return Math.min(own.priority, 0);
  if (priority <= own.priority) return priority;
  throw new Refusal(
    "forbidden",
    `Priority ${priority} is higher than that of ${own.run_id}, which asks for it: ${own.priority} is the limit. ` +
      "Submit that run with a higher priority.",
  );
}

function attemptsOf({ max_attempts }: CreateRun, own: OwnRun, configured: number): number | null {
  const most = Math.max(own.max_attempts, configured);
  if (max_attempts == null || max_attempts <= most) return max_attempts ?? null;
  throw refusal(
    `${max_attempts} attempts are more than ${own.run_id}, which asks for them, may allow: ${most} is the limit.`,
    "RUNNER_MAX_ATTEMPTS",
    "limits.max_attempts",
  );
}

/** A shorter delay repeats failures faster. */
function retryDelayOf({ retry_delay_seconds }: CreateRun, own: OwnRun): number | null {
  if (retry_delay_seconds == null) return own.retry_delay_seconds;
  const least = own.retry_delay_seconds ?? FIRST_DELAY_SECONDS;
  if (retry_delay_seconds >= least) return retry_delay_seconds;
  throw new Refusal(
    "forbidden",
    `A retry delay of ${retry_delay_seconds} s is shorter than that of ${own.run_id}, which asks for it: ${least} s ` +
      "is the limit. Submit that run with a shorter delay.",
  );
}

function refusal(what: string, variable: string, file: string): Refusal {
  return new Refusal("forbidden", `${what} ${howToRaise(variable, file)}.`);
}
