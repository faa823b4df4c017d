import type { VNode } from "preact";
import type { ShownRun } from "../actions/retry.ts";
import { AgentText } from "./agent-text.tsx";

const REASONS: Readonly<Record<string, string>> = {
  temporary: "transient error",
  interrupted: "interrupted",
  not_started: "the executor could not be started",
  timed_out: "time limit exceeded",
  runner_lost: "its runner was lost before it reported the end",
  no_match: "no matching runner",
  expired: "no runner claimed it in time",
};

/** Why a run failed: the reason code in words, and the run's own error. */
export function Failure({ run: { error, reason, retried_by, note } }: { readonly run: ShownRun }): VNode {
  return (
    <div class="failure">
      <p>
        <strong>Failed{reason === null ? "" : `: ${REASONS[reason] ?? reason}`}.</strong>
        {retried_by !== null && <span> Retried as {retried_by}.</span>}
      </p>
      {error !== null && <AgentText text={error} isCode />}
      {note !== null && <AgentText text={note} />}
    </div>
  );
}
