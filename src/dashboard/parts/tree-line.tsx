import type { ComponentChildren, VNode } from "preact";
import type * as v from "valibot";
import type { TreesAnswer } from "../../protocol/answers.ts";
import { linkTo } from "../route.ts";
import { ago, cost, duration, tokens } from "./figures.ts";
import { Status } from "./status.tsx";
import { InlineText } from "./inline-text.tsx";

type ShownSession = v.InferOutput<typeof TreesAnswer>["trees"][number];

export interface TreeLineProps {
  readonly session: ShownSession;
  readonly nowMs: number;
  /** Stands beside the status. */
  readonly note?: string;
  /** The session's own turn has ended; descendants are still active. */
  readonly isWaiting?: boolean;
  readonly children?: ComponentChildren;
}

/** One session with its title, status, agent and last event, and the time and cost of its whole tree. */
export function TreeLine({ session, nowMs, note, isWaiting = false, children }: TreeLineProps): VNode {
  const { session_id: sessionId, title, status, agent_name, roll_up, last_event } = session;
  return (
    <div class="tree-line">
      <div class="tree-main">
        <a class="tree-title" href={linkTo({ view: "session", sessionId })}>
          {title === null || title.trim() === "" ? sessionId : <InlineText text={title} />}
        </a>
        <p class="tree-about">
          <Status status={isWaiting ? "waiting" : status} />
          {note !== undefined && <span>{note}</span>}
          {agent_name !== null && (
            <span>
              <span class="quiet">agent</span> <InlineText text={agent_name} max={60} />
            </span>
          )}
          <LastEvent event={last_event} nowMs={nowMs} />
        </p>
        {children}
      </div>
      <dl class="tree-figures">
        <Figure name="Time" value={roll_up.run_ms > 0 ? duration(roll_up.run_ms) : ""} />
        <Figure name="Cost" value={cost(roll_up.total_cost_usd)} />
        <Figure name="Tokens" value={tokens(roll_up.input_tokens + roll_up.output_tokens)} />
      </dl>
    </div>
  );
}

function Figure({ name, value }: { readonly name: string; readonly value: string }): VNode {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value === "" ? <span class="quiet">–</span> : value}</dd>
    </div>
  );
}

const EVENT_NAMES: Readonly<Record<string, string>> = {
  message: "message",
  pre_tool: "called",
  post_tool: "finished",
  session_start: "resumed",
  session_stop: "turn ended",
  result: "result",
  usage: "usage",
  ending: "ended",
};

function LastEvent({
  event,
  nowMs,
}: {
  readonly event: ShownSession["last_event"];
  readonly nowMs: number;
}): VNode | null {
  if (event === null) return null;
  const { event_type, tool_name, timestamp } = event;
  const name = EVENT_NAMES[event_type ?? ""] ?? event_type ?? "unknown";
  const when = ago(timestamp, nowMs);
  return (
    <span class="quiet">
      last event: <InlineText text={tool_name === null ? name : `${name} ${tool_name}`} max={40} />
      {when !== null && (
        <>
          , <time dateTime={timestamp ?? ""}>{when}</time>
        </>
      )}
    </span>
  );
}
