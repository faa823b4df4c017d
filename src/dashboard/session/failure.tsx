import type { VNode } from "preact";
import type { ShownRun } from "../actions/retry.ts";
import { AgentText } from "./agent-text.tsx";

const REASONS: Readonly<Record<string, string>> = {
  temporary: "for a reason that may pass",
  interrupted: "it was interrupted",
  not_started: "its executor could not be started",
  timed_out: "it took too long",
  runner_lost: "its runner was lost",
  no_match: "there was no runner that matches it",
  expired: "no runner took it in time",
};

/** Why a run failed, in its own words and in those of who knows the reason. */
export function Failure({ run: { error, reason, retried_by } }: { readonly run: ShownRun }): VNode {
  return (
    <div class="failure">
      <p>
        <strong>Failed{reason === null ? "" : `: ${REASONS[reason] ?? reason}`}.</strong>
        {retried_by !== null && <span> Tried again as {retried_by}.</span>}
      </p>
      {error !== null && <AgentText text={error} isCode />}
    </div>
  );
}
