import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { isTerminal } from "../../protocol/run.ts";
import { AgentText } from "./agent-text.tsx";
import { FigureList } from "./figure-list.tsx";
import { OutputTail } from "./output-tail.tsx";
import type { ShownRun } from "./session-data.ts";
import { StatusBadge } from "./status-badge.tsx";
import { TimelinePicture } from "./timeline-picture.tsx";

const REASONS: Record<string, string> = {
  temporary: "for a reason that may pass",
  interrupted: "it was interrupted",
  not_started: "its executor could not be started",
  timed_out: "it took too long",
  runner_lost: "its runner was lost",
  no_match: "no runner matched it",
  expired: "its time to live was over",
};
const WAITS: Record<string, string> = {
  time: "Waits for its scheduled time.",
  turn: "Waits for the run before it in this session.",
  runner: "Waits for a runner.",
  retry: "Waits a while before it is tried again.",
};

export interface RunCardProps {
  readonly run: ShownRun;
  readonly nowMs: number;
  readonly isOpen: boolean;
  readonly actions: VNode | null;
  readonly read: (path: string, signal: AbortSignal) => Promise<unknown>;
}

/** One run of a session: how it went, where its time went, why it failed, what it wrote. */
export function RunCard({ run, nowMs, isOpen, actions, read }: RunCardProps): VNode {
  const [showsOutput, setShowsOutput] = useState(false);
  const isActive = !isTerminal(run.status);
  return (
    <details class="run-card" open={isOpen} data-run={run.run_id}>
      <summary>
        <StatusBadge status={run.status} /> <code>{run.run_id}</code>
        {run.max_attempts > 1 && (
          <span class="quiet">
            {" "}
            attempt {run.attempt} of {run.max_attempts}
          </span>
        )}
      </summary>
      <TimelinePicture run={run} nowMs={nowMs} />
      {run.waiting_for !== null && <p>{WAITS[run.waiting_for] ?? "Waits."}</p>}
      <Failure run={run} />
      <FigureList used={run} />
      {actions}
      <details class="run-prompt">
        <summary>Prompt</summary>
        <AgentText text={run.prompt} />
      </details>
      <details class="run-output" onToggle={(event) => setShowsOutput(event.currentTarget.open)}>
        <summary>Output</summary>
        {showsOutput && <OutputTail runId={run.run_id} isActive={isActive} read={read} />}
      </details>
    </details>
  );
}

function Failure({ run: { error, reason, status, retried_by } }: { readonly run: ShownRun }): VNode | null {
  if (status !== "failed" && error === null) return null;
  return (
    <div class="failure">
      <p>
        <strong>Failed{reason === null ? "" : `: ${REASONS[reason] ?? reason}`}.</strong>
        {retried_by !== null && <span> It was tried again by {retried_by}.</span>}
      </p>
      {error !== null && <AgentText text={error} isCode />}
    </div>
  );
}
