import type { VNode } from "preact";
import { useCallback } from "preact/hooks";
import * as v from "valibot";
import { EventShown } from "../../protocol/answers.ts";
import { isTerminal } from "../../protocol/run.ts";
import { useNow, useRegularly } from "./clock.ts";
import { ConversationView } from "./conversation-view.tsx";
import type { LoadEvents } from "./event-window.ts";
import { FigureList } from "./figure-list.tsx";
import { harmlessText } from "./harmless-text.ts";
import { RunCard } from "./run-card.tsx";
import { type OnNews, type Read, type SessionData, type ShownSession, useSessionData } from "./session-data.ts";
import { StatusBadge } from "./status-badge.tsx";

export interface SessionPageProps {
  readonly sessionId: string;
  readonly read: Read;
  readonly onNews: OnNews;
  /** Where a session's page is. */
  readonly hrefOf: (sessionId: string) => string;
}

/** One session: what was said and done, its runs, whose child it is and whose parent. */
export function SessionPage({ sessionId, read, onNews, hrefOf }: SessionPageProps): VNode {
  const { data, refresh } = useSessionData(sessionId, read, onNews);
  const isActive = data.runs.some(({ status }) => !isTerminal(status));
  const nowMs = useNow(isActive);
  const loadEvents = useLoadEvents(sessionId, read);
  const onEvents = useCallback((listener: () => void) => onNews(sessionId, listener), [sessionId, onNews]);
  useRegularly(isActive, refresh);
  if (data.session === null) return <p class={data.fault === null ? "quiet" : "fault"}>{data.fault ?? "Loading…"}</p>;
  return (
    <div class="session-page">
      <Head session={data.session} hrefOf={hrefOf} />
      <div class="session-columns">
        <section class="session-talk" aria-labelledby="talk">
          <h2 id="talk">Conversation</h2>
          <ConversationView key={sessionId} load={loadEvents} onNews={onEvents} isActive={isActive} />
        </section>
        <section class="session-runs" aria-labelledby="runs">
          <h2 id="runs">Runs</h2>
          <Runs data={data} nowMs={nowMs} read={read} />
          <Children data={data} hrefOf={hrefOf} />
        </section>
      </div>
    </div>
  );
}

function Head({ session, hrefOf }: { readonly session: ShownSession; readonly hrefOf: SessionPageProps["hrefOf"] }): VNode {
  const places: [string, string | null][] = [
    ["Folder", session.project_dir],
    ["Executor", session.executor_type],
    ["Machine", session.hostname],
  ];
  return (
    <header class="session-head">
      <h1>
        <bdi>{harmlessText(session.agent_name ?? "Session without an agent")}</bdi> <StatusBadge status={session.status} />
      </h1>
      <p>
        <code>{session.session_id}</code>
        {session.parent_session_id !== null && (
          <>
            {" "}
            started by <a href={hrefOf(session.parent_session_id)}>{session.parent_session_id}</a>
          </>
        )}
      </p>
      <dl class="figures">
        {places.map(([name, value]) =>
          value === null ? null : (
            <div key={name}>
              <dt>{name}</dt>
              <dd dir="auto">{harmlessText(value)}</dd>
            </div>
          ),
        )}
      </dl>
      <FigureList used={session} />
    </header>
  );
}

function Runs({ data, nowMs, read }: { readonly data: SessionData; readonly nowMs: number; readonly read: Read }): VNode {
  return (
    <>
      {data.runs.length === 0 && <p class="quiet">There is no run.</p>}
      {data.runs.map((run, i) => (
        <RunCard key={run.run_id} run={run} nowMs={nowMs} isOpen={i === 0} actions={null} read={read} />
      ))}
      {data.hasMoreRuns && <p class="quiet">Older runs are not shown.</p>}
    </>
  );
}

function Children({ data: { children, hasMoreChildren }, hrefOf }: { readonly data: SessionData; readonly hrefOf: SessionPageProps["hrefOf"] }): VNode | null {
  if (children.length === 0) return null;
  return (
    <>
      <h2>Children</h2>
      <ul class="children">
        {children.map((child) => (
          <li key={child.session_id}>
            <StatusBadge status={child.status} /> <a href={hrefOf(child.session_id)}>{child.session_id}</a> <bdi>{harmlessText(child.agent_name ?? "")}</bdi>
          </li>
        ))}
      </ul>
      {hasMoreChildren && <p class="quiet">Older children are not shown.</p>}
    </>
  );
}

const Events = v.object({ events: v.array(EventShown), next_cursor: v.nullish(v.string(), null) });

function useLoadEvents(sessionId: string, read: Read): LoadEvents {
  return useCallback<LoadEvents>(
    async (order, limit, cursor, signal) => {
      const after = cursor === null ? "" : `&cursor=${cursor}`;
      const answer = await read(`/sessions/${encodeURIComponent(sessionId)}/events?order=${order}&limit=${limit}${after}`, signal);
      return v.parse(Events, answer);
    },
    [sessionId, read],
  );
}
