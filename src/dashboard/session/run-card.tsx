import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { isTerminal } from "../../protocol/run.ts";
import { commandLine } from "../actions/command-line.ts";
import type { ShownRun } from "../actions/retry.ts";
import { Copy } from "../parts/copy.tsx";
import { Status } from "../parts/status.tsx";
import type { Services } from "../query.ts";
import { AgentText } from "./agent-text.tsx";
import { Failure } from "./failure.tsx";
import { FigureList } from "./figure-list.tsx";
import { OutputTail } from "./output-tail.tsx";
import { Timeline } from "./timeline.tsx";

const WAIT_REASONS: Readonly<Record<string, string>> = {
  time: "Waits for its scheduled time.",
  turn: "Waits for an earlier run of this session.",
  runner: "Waits for a matching runner.",
  retry: "Waits before the next attempt.",
};

export interface RunCardProps {
  readonly services: Services;
  readonly run: ShownRun;
  readonly nowMs: number;
  readonly isFirst: boolean;
}

/** One run of a session: status, time by phase, failure, usage, prompt and output. */
export function RunCard({ services, run, nowMs, isFirst }: RunCardProps): VNode {
  const [isOpen, setIsOpen] = useState(isFirst);
  return (
    <details class="run-card" open={isOpen} onToggle={(event) => setIsOpen(event.currentTarget.open)}>
      <summary>
        <Status status={run.status} /> <code>{run.run_id}</code>
        {run.max_attempts > 1 && <span class="quiet">{` attempt ${run.attempt} of ${run.max_attempts}`}</span>}
      </summary>
      {isOpen && <RunDetails services={services} run={run} nowMs={nowMs} />}
    </details>
  );
}

function RunDetails({ services, run, nowMs }: Omit<RunCardProps, "isFirst">): VNode {
  const { api } = services;
  const [showsOutput, setShowsOutput] = useState(false);
  return (
    <>
      <Timeline run={run} nowMs={nowMs} />
      {run.waiting_for !== null && <p>{WAIT_REASONS[run.waiting_for] ?? "Waits."}</p>}
      {run.status === "failed" && <Failure run={run} />}
      <FigureList usage={run} />
      <div class="actions">
        <Copy text={run.run_id} label="Copy ID" />
        <Copy text={commandOf(run)} label="Copy as command" />
      </div>
      <details>
        <summary>Prompt</summary>
        <AgentText text={run.prompt} />
      </details>
      <details onToggle={(event) => setShowsOutput(event.currentTarget.open)}>
        <summary>Output</summary>
        {showsOutput && <OutputTail runId={run.run_id} isActive={!isTerminal(run.status)} api={api} />}
      </details>
    </>
  );
}

function commandOf({ type, prompt, agent_name, project_dir, session_id, demands }: ShownRun): string {
  if (type === "resume_session") return commandLine({ prompt, session: session_id });
  return commandLine({
    prompt,
    ...(agent_name === null ? {} : { agent: agent_name }),
    ...(project_dir === null ? {} : { projectDir: project_dir }),
    tags: demands?.tags ?? [],
  });
}
