import type { Demands, FailureReason, RunStatus, WaitingFor } from "../../protocol/run.ts";

/** A row of the table `runs`. Times are ISO 8601 in UTC. */
export interface RunRow {
  readonly seq: number;
  readonly run_id: string;
  readonly type: string;
  readonly session_id: string;
  readonly agent_name: string | null;
  readonly prompt: string;
  readonly project_dir: string | null;
  readonly parent_session_id: string | null;
  readonly execution_mode: string;
  /** JSON, or null. */
  readonly demands: string | null;
  /** The part of `demands` that the run was submitted with, and inherited: JSON, or null. */
  readonly asked_demands: string | null;
  readonly status: RunStatus;
  readonly runner_id: string | null;
  readonly error: string | null;
  /** Why the run failed; null if unknown. */
  readonly reason: FailureReason | null;
  readonly created_at: string;
  readonly claimed_at: string | null;
  readonly started_at: string | null;
  readonly completed_at: string | null;
  readonly timeout_at: string | null;
  readonly priority: number;
  readonly waiting_for: WaitingFor | null;
  readonly not_before: string | null;
  /** When a pending run fails as expired. */
  readonly expires_at: string | null;
  readonly attempt: number;
  readonly max_attempts: number;
  readonly retry_delay_seconds: number | null;
  readonly retry_of: string | null;
  readonly retried_by: string | null;
  readonly total_cost_usd: number | null;
  readonly num_turns: number | null;
  readonly input_tokens: number | null;
  readonly output_tokens: number | null;
  /** How many of its events were beyond the limits and dropped. */
  readonly events_dropped: number;
  /** What a runner that was given up reported when it came back, or why a runner gave a pending run back. */
  readonly note: string | null;
  /** JSON of the second generation's `parameters`; null if there was only a prompt. */
  readonly parameters: string | null;
  /** How often a runner gave the run back, because its machine could not execute it. */
  readonly returns: number;
  /** Any other runner that waits is preferred to this one, which failed the run or gave it back. */
  readonly avoid_runner: string | null;
  /** The trace of the run (W3C Trace Context). */
  readonly traceparent: string | null;
  readonly tracestate: string | null;
  /** The name of the token, and the address, of the client that created the run; null for the coordinator itself. */
  readonly created_by: string | null;
  readonly created_from: string | null;
  /** The name of the token of the runner that claimed the run. */
  readonly claimed_by: string | null;
  /** Of the client that stopped the run. */
  readonly stopped_by: string | null;
  readonly stopped_from: string | null;
  /** When a claim without `started` ends. */
  readonly lease_until: string | null;
  /** The session's status before the claim; a released claim restores it. */
  readonly session_status_before: string | null;
  /** The `seq` of the last event before the claim; later events of the session are this run's. */
  readonly events_before: number;
}

export function demandsOf({ demands }: Pick<RunRow, "demands">): Demands | null {
  return demands === null ? null : (JSON.parse(demands) as Demands);
}

export function askedDemandsOf({ asked_demands }: Pick<RunRow, "asked_demands">): Demands | null {
  return asked_demands === null ? null : (JSON.parse(asked_demands) as Demands);
}

/** The task in the second generation's form. */
export function parametersOf({ parameters, prompt }: Pick<RunRow, "parameters" | "prompt">): Record<string, unknown> {
  return parameters === null ? { prompt } : (JSON.parse(parameters) as Record<string, unknown>);
}

/** The run in the API (`docs/protocol.md`, section 3); every key is always present. */
export function wireRun(run: RunRow): Record<string, unknown> {
  const { seq: _seq, lease_until: _lease, session_status_before: _before, events_before: _events, ...more } = run;
  const { avoid_runner: _avoided, asked_demands: _asked, parameters, ...shown } = more;
  return { ...shown, demands: demandsOf(run), ...(parameters === null ? {} : { parameters: parametersOf(run) }) };
}
