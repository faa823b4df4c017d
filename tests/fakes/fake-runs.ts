import { randomHex12 } from "../../src/protocol/identifiers.ts";
import type { Generation } from "../../src/protocol/poll.ts";

/** What a run demands of its runner; the fields that are missing demand nothing. */
export interface FakeDemands {
  readonly hostname?: string;
  readonly executor_profile?: string;
  readonly tags?: readonly string[];
}

/** A run in the fake. `extra` overrides fields in the answer to a poll, for malformed runs. */
export interface FakeRun {
  readonly run_id: string;
  readonly type: string;
  readonly session_id: string;
  readonly prompt: string;
  readonly agent_name: string | null;
  readonly project_dir: string | null;
  readonly parent_session_id: string | null;
  readonly execution_mode: string;
  readonly demands: FakeDemands | null;
  readonly extra: Readonly<Record<string, unknown>>;
  status: string;
  runner_id: string | null;
  error: string | null;
  claimed_at: string | null;
  /** What a hook has made of the parameters. */
  changed: Readonly<Record<string, unknown>> | null;
}

export type QueuedRun = Partial<
  Pick<
    FakeRun,
    | "run_id"
    | "type"
    | "session_id"
    | "prompt"
    | "agent_name"
    | "project_dir"
    | "parent_session_id"
    | "execution_mode"
    | "demands"
    | "extra"
  >
>;

export function fakeRun(queued: QueuedRun): FakeRun {
  return {
    run_id: `run_${randomHex12()}`,
    type: "start_session",
    session_id: `ses_${randomHex12()}`,
    prompt: "do it",
    agent_name: null,
    project_dir: null,
    parent_session_id: null,
    execution_mode: "sync",
    demands: null,
    extra: {},
    status: "pending",
    runner_id: null,
    error: null,
    claimed_at: null,
    changed: null,
    ...queued,
  };
}

/** The run on the wire (`docs/protocol.md`, section 3). `inPoll` adds the fields that only the answer to a poll has. */
export function wireRun(run: FakeRun, generation: Generation, inPoll: boolean): object {
  const { extra, prompt, changed, ...fields } = run;
  const now = new Date().toISOString();
  const common = {
    ...fields,
    created_at: now,
    started_at: null,
    completed_at: null,
    timeout_at: null,
  };
  if (generation === "first") return { ...common, prompt, ...extra };
  const onlyInPoll = inPoll ? { scope: null, resolved_agent_blueprint: null, ...extra } : {};
  return { ...common, parameters: { prompt }, ...onlyInPoll, ...(changed === null ? {} : { parameters: changed }) };
}

/** A session, with the fields that the runner and its gateway read. */
export interface FakeSession {
  readonly session_id: string;
  status: string;
  readonly agent_name: string | null;
  readonly project_dir: string | null;
  readonly parent_session_id: string | null;
  readonly execution_mode: string;
  /** Where the session runs, as its executor has reported it. */
  bound: { readonly hostname?: string; readonly executor_profile?: string } | null;
  readonly events: Readonly<Record<string, unknown>>[];
}
