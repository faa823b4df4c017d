import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { isTerminal } from "../../protocol/run.ts";
import { commandLine } from "../actions/command-line.ts";
import type { ShownRun } from "../actions/retry.ts";
import { Copy } from "../parts/copy.tsx";
import { counted } from "../parts/figures.ts";
import { Status } from "../parts/status.tsx";
import type { Services } from "../query.ts";
import { AgentText } from "./agent-text.tsx";
import { Failure } from "./failure.tsx";
import { FigureList } from "./figure-list.tsx";
import { OutputTail } from "./output-tail.tsx";
import type { ShownRunner } from "./session-data.ts";
import { Timeline } from "./timeline.tsx";
import { Unreachable } from "./unreachable.tsx";

const WAIT_REASONS: Readonly<Record<string, string>> = {
  time: "Waits for its scheduled time.",
  turn: "Waits for an earlier run of this session.",
  runner: "Waits for a matching runner.",
  retry: "Waits before the next attempt.",
};

export interface RunCardProps {
  readonly services: Services;
  readonly run: ShownRun;
  /** The run's runner, while it cannot be reached. */
  readonly silentRunner: ShownRunner | null;
  readonly nowMs: number;
  readonly isFirst: boolean;
}

/** One run of a session: status, time by phase, failure, usage, prompt and output. */
export function RunCard({ services, run, silentRunner, nowMs, isFirst }: RunCardProps): VNode {
  const [isOpen, setIsOpen] = useState(isFirst);
  const word = silentRunner === null ? run.status : `${run.status}: runner unreachable`;
  return (
    <details class="run-card" open={isOpen} onToggle={(event) => setIsOpen(event.currentTarget.open)}>
      <summary>
        <Status status={run.status} word={word} /> <code>{run.run_id}</code>
        {run.max_attempts > 1 && <span class="quiet">{` attempt ${run.attempt} of ${run.max_attempts}`}</span>}
      </summary>
      {isOpen && <RunDetails services={services} run={run} silentRunner={silentRunner} nowMs={nowMs} />}
    </details>
  );
}

function RunDetails({ services, run, silentRunner, nowMs }: Omit<RunCardProps, "isFirst">): VNode {
  const { api } = services;
  const [showsOutput, setShowsOutput] = useState(false);
  return (
    <>
      <Timeline run={run} nowMs={nowMs} />
      {run.waiting_for !== null && <p>{WAIT_REASONS[run.waiting_for] ?? "Waits."}</p>}
      {silentRunner !== null && <Unreachable run={run} runner={silentRunner} />}
      {run.status === "failed" && <Failure run={run} />}
      {run.status !== "failed" && run.note !== null && <AgentText text={run.note} />}
      <Dropped run={run} />
      <Origin run={run} />
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

/** The conversation does not show what is missing in it. */
function Dropped({ run }: { readonly run: ShownRun }): VNode | null {
  const count = run.events_dropped;
  if (count === 0) return null;
  return <p class="quiet">{`${counted(count, "event")} left out: beyond the bounds of a run's events.`}</p>;
}

/** Who created and stopped the run; nothing for a run of the coordinator itself, such as a callback. */
function Origin({ run }: { readonly run: ShownRun }): VNode | null {
  const { created_by, created_from, stopped_by, stopped_from } = run;
  if (created_from === null && stopped_from === null) return null;
  const by = (what: string, name: string | null, address: string | null): string =>
    address === null ? "" : `${what}${name === null ? "" : ` by ${name}`} from ${address}. `;
  return <p class="quiet">{by("Created", created_by, created_from) + by("Stopped", stopped_by, stopped_from)}</p>;
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
