import type { VNode } from "preact";
import { useCallback } from "preact/hooks";
import * as v from "valibot";
import { EventShown } from "../../protocol/answers.ts";
import { isTerminal } from "../../protocol/run.ts";
import { SessionActions } from "../actions/session-actions.tsx";
import { Status } from "../parts/status.tsx";
import { InlineText } from "../parts/inline-text.tsx";
import type { Services } from "../query.ts";
import { linkTo } from "../route.ts";
import { Children } from "./children.tsx";
import { useClock } from "./clock.ts";
import { ConversationView } from "./conversation-view.tsx";
import type { LoadEvents } from "./event-window.ts";
import { Failure } from "./failure.tsx";
import { FigureList } from "./figure-list.tsx";
import { RunCard } from "./run-card.tsx";
import { silentRunnerOf, Unreachable } from "./unreachable.tsx";
import { type SessionData, type ShownSession, useSessionData } from "./session-data.ts";

/** One session: its conversation, runs, parent and children. */
export function SessionPage({
  services,
  sessionId,
}: {
  readonly services: Services;
  readonly sessionId: string;
}): VNode {
  const data = useSessionData(services, sessionId);
  const { session, runs, runners } = data;
  const isActive = runs.some(({ status }) => !isTerminal(status));
  const nowMs = useClock(isActive);
  const loadEvents = useLoadEvents(services, sessionId);
  const subscribe = useSubscribe(services, sessionId);
  if (session === null) {
    return (
      <>
        <h1>{sessionId}</h1>
        <p class={data.fault === null ? "quiet" : "fault"}>{data.fault ?? "Loading…"}</p>
      </>
    );
  }
  return (
    <div class="session-page">
      <Head services={services} session={session} data={data} />
      <div class="session-columns">
        <div class="session-talk">
          <h2>Conversation</h2>
          <ConversationView load={loadEvents} subscribe={subscribe} isActive={isActive} />
        </div>
        <section class="session-runs" aria-labelledby="runs">
          <h2 id="runs">Runs</h2>
          {runs.length === 0 && <p class="quiet">No runs.</p>}
          {runs.map((run, i) => (
            <RunCard
              key={run.run_id}
              services={services}
              run={run}
              silentRunner={silentRunnerOf(run, runners)}
              nowMs={nowMs}
              isFirst={i === 0}
            />
          ))}
          {data.hasMoreRuns && <p class="quiet">Older runs are not shown.</p>}
          <Children tree={data.tree} />
        </section>
      </div>
    </div>
  );
}

/** Statuses of a session without an open run. */
const DONE: ReadonlySet<string> = new Set(["finished", "failed", "stopped", "idle"]);

function Head({
  services,
  session,
  data: { runs, runners, tree, fault },
}: {
  readonly services: Services;
  readonly session: ShownSession;
  readonly data: SessionData;
}): VNode {
  const lastRun = runs[0] ?? null;
  // A session has one run with a runner at a time.
  const cutOff = runs.find((run) => silentRunnerOf(run, runners) !== null);
  const cutOffRunner = cutOff === undefined ? null : silentRunnerOf(cutOff, runners);
  const open = tree.filter(({ status }) => !DONE.has(status));
  // The session's own turn has ended; the end of its descendants resumes it.
  const waits = open.length > 0 && (session.status === "finished" || session.status === "idle");
  const facts: readonly (readonly [name: string, value: string | null])[] = [
    ["Agent", session.agent_name],
    ["Folder", session.project_dir],
    ["Executor", session.executor_type],
    ["Machine", session.hostname],
  ];
  return (
    <header class="session-head">
      <h1>
        <InlineText text={tree[0]?.title ?? session.session_id} max={120} />
      </h1>
      <p class="session-line">
        <Status status={waits ? "waiting" : session.status} /> {waits && <span>for its descendants</span>}{" "}
        <code>{session.session_id}</code>
        {session.parent_session_id !== null && (
          <span>
            started by{" "}
            <a href={linkTo({ view: "session", sessionId: session.parent_session_id })}>{session.parent_session_id}</a>
          </span>
        )}
      </p>
      {fault !== null && <p class="fault">This may be out of date: {fault}</p>}
      {cutOff !== undefined && cutOffRunner !== null && <Unreachable run={cutOff} runner={cutOffRunner} />}
      {lastRun?.status === "failed" && <Failure run={lastRun} />}
      <dl class="figures">
        {facts.map(([name, value]) =>
          value === null ? null : (
            <div key={name}>
              <dt>{name}</dt>
              <dd>
                <InlineText text={value} />
              </dd>
            </div>
          ),
        )}
      </dl>
      <FigureList usage={session} />
      <SessionActions
        services={services}
        sessionId={session.session_id}
        open={open.length}
        descendants={Math.max(0, tree.length - 1)}
        lastRun={lastRun}
        canResume={session.executor_session_id !== null}
      />
    </header>
  );
}

const Events = v.object({ events: v.array(EventShown), next_cursor: v.nullish(v.string(), null) });

function useLoadEvents({ api }: Services, sessionId: string): LoadEvents {
  return useCallback<LoadEvents>(
    async (order, limit, cursor, signal) => {
      const after = cursor === null ? "" : `&cursor=${cursor}`;
      return v.parse(
        Events,
        await api.read(
          `/sessions/${encodeURIComponent(sessionId)}/events?order=${order}&limit=${limit}${after}`,
          signal,
        ),
      );
    },
    [api, sessionId],
  );
}

function useSubscribe({ live }: Services, sessionId: string): (listener: () => void) => () => void {
  return useCallback(
    (listener) =>
      live.subscribe((change) => {
        if (change === null || (change.type === "event" && change.sessionId === sessionId)) listener();
      }),
    [live, sessionId],
  );
}
