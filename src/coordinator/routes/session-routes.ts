import { Bind, CreateSession, DROPPED_HEADER, Metadata, SessionEvent } from "../../protocol/session.ts";
import type { Broadcast } from "../sessions/broadcast.ts";
import { type Call, readBody } from "./http.ts";
import { Refusal } from "../store/refusal.ts";
import { nextCursor, type Page, rowsOfPage } from "../store/lists.ts";
import { answerList, pageOf } from "./paging.ts";
import { type Routes, routes } from "./router.ts";
import type { RunnerScope } from "./access/runner-scope.ts";
import type { RunTransitions } from "../runs/run-transitions.ts";
import { isTrue } from "./is-true.ts";
import { type EventRow, type SessionEvents, eventListQuery, wireEvent } from "../sessions/session-events.ts";
import { sessionListQuery } from "./session-lists.ts";
import { shapeOf } from "../sessions/tree-shape.ts";
import type { SessionTrees } from "../sessions/session-trees.ts";
import { type SessionRow, type Sessions, wireSession } from "../sessions/sessions.ts";
import type { Store } from "../store/store.ts";

/** A dashboard reads older sessions from `GET /sessions`. */
const MAX_INIT_SESSIONS = 1_000;
const DEFAULT_TREE_PAGE: Page = { limit: 50, order: "desc", after: null };

export interface SessionRouteParts {
  readonly store: Store;
  readonly sessions: Sessions;
  readonly events: SessionEvents;
  readonly trees: SessionTrees;
  readonly transitions: RunTransitions;
  readonly broadcast: Broadcast;
  readonly runnerScope: RunnerScope;
}

/** Sessions, their events and results (`docs/protocol.md`, sections 1b and 10). */
export function sessionRoutes(parts: SessionRouteParts): Routes {
  return {
    ...readRoutes(parts),
    ...treeRoutes(parts),
    ...writeRoutes(parts),
    ...eventRoutes(parts),
    ...broadcastRoutes(parts),
  };
}

function readRoutes({ store, sessions, events }: SessionRouteParts): Routes {
  return routes({
    "GET /sessions": ({ query }) =>
      answerList<SessionRow>(
        {
          key: "sessions",
          store,
          query: sessionListQuery(query, isTrue(query.get("top"))),
          show: wireSession,
          wholeOrder: "desc",
        },
        pageOf(query),
      ),
    "GET /sessions/:session_id": async ({ params }) =>
      Response.json({ session: wireSession(await sessions.get(params.session_id)) }),
    "GET /sessions/:session_id/status": async ({ params }) =>
      Response.json({ status: (await sessions.find(params.session_id))?.status ?? "not_existent" }),
    async "GET /sessions/:session_id/result"({ params }) {
      const session = await sessions.get(params.session_id);
      if (session.status !== "finished")
        throw new Refusal("wrong-state", `Session is not finished: it is ${session.status}`);
      const result = await events.lastAnswer(session.session_id);
      if (result === null) throw new Refusal("unknown", "No result found: the session has no assistant message");
      const data = await events.lastData(session.session_id);
      return Response.json({ result, result_text: data === null ? result : null, result_data: data });
    },
    async "GET /sessions/:session_id/affinity"({ params }) {
      const { session_id, executor_session_id, hostname, project_dir, executor_type } = await sessions.get(
        params.session_id,
      );
      return Response.json({ affinity: { session_id, executor_session_id, hostname, project_dir, executor_type } });
    },
  });
}

function treeRoutes({ store, sessions, trees, transitions }: SessionRouteParts): Routes {
  return routes({
    async "POST /trees/:session_id/stop"({ params, caller }) {
      // In one transaction: a session that joins the tree meanwhile is stopped, too.
      const stopped = await store.write(async () =>
        transitions.stopSessions(await trees.members(params.session_id), caller),
      );
      return Response.json({
        ok: true,
        stopped: stopped.map(({ session_id, run_id, status }) => ({ session_id, run_id, status })),
      });
    },
    "GET /sessions/:session_id/tree": async ({ params }) =>
      Response.json({ tree: await shapeOf(store, (await sessions.get(params.session_id)).session_id) }),
    "GET /trees/:session_id": async ({ params }) => Response.json(await trees.tree(params.session_id)),
    async "GET /trees"({ query }) {
      const page = pageOf(query) ?? DEFAULT_TREE_PAGE;
      const rows = isTrue(query.get("active"))
        ? await trees.active(page)
        : await rowsOfPage<SessionRow>(store, sessionListQuery(query, true), page);
      return Response.json({
        trees: await Promise.all(rows.map((row) => trees.summary(row))),
        next_cursor: nextCursor(rows, page),
      });
    },
  });
}

function writeRoutes({ sessions, transitions }: SessionRouteParts): Routes {
  return routes({
    async "POST /sessions"({ request, about }) {
      const session = await sessions.create(await readBody(request, CreateSession));
      about(session.session_id);
      return Response.json({ ok: true, session: wireSession(session) });
    },
    async "POST /sessions/:session_id/bind"({ request, params }) {
      const session = await sessions.bind(params.session_id, await readBody(request, Bind));
      return Response.json({ ok: true, session: wireSession(session) });
    },
    async "PATCH /sessions/:session_id/metadata"({ request, params }) {
      const session = await sessions.patch(params.session_id, await readBody(request, Metadata));
      return Response.json({ ok: true, session: wireSession(session) });
    },
    async "DELETE /sessions/:session_id"({ params, caller }) {
      const { session_id, events_count } = await transitions.deleteSession(params.session_id, caller);
      // The first generation deletes the runs, too. Here they stay as long as all others.
      return Response.json({ ok: true, session_id, deleted: { session: true, events_count, runs_count: 0 } });
    },
  });
}

function eventRoutes({ store, sessions, events, runnerScope }: SessionRouteParts): Routes {
  const list = ({ params, query }: Call<"session_id">): Promise<Response> =>
    answerList<EventRow>(
      { key: "events", store, query: eventListQuery(params.session_id), show: wireEvent },
      pageOf(query, "asc"),
    );
  return routes({
    async "POST /sessions/:session_id/events"({ request, params }) {
      return added(await events.add(params.session_id, await readBody(request, SessionEvent)));
    },
    async "GET /sessions/:session_id/events"(call) {
      await sessions.get(call.params.session_id);
      return list(call);
    },
    async "POST /events"({ request, caller }) {
      const event = await readBody(request, SessionEvent);
      await runnerScope.requireSession(caller, event.session_id);
      return added(await events.add(event.session_id, event));
    },
    // As in the first generation: empty for an unknown session.
    "GET /events/:session_id": list,
  });
}

/** The sender did nothing wrong that it could mend: an error would only end the run. */
function added({ isDropped }: { isDropped: boolean }): Response {
  return isDropped
    ? Response.json({ ok: true, dropped: true }, { headers: { [DROPPED_HEADER]: "true" } })
    : Response.json({ ok: true });
}

function broadcastRoutes({ sessions, broadcast }: SessionRouteParts): Routes {
  return routes({
    async "GET /sse/sessions"({ request, query, caller, keepOpen }) {
      const sessionId = query.get("session_id");
      const types = query.get("types")?.split(",");
      const lastEventId = Number(request.headers.get("last-event-id") ?? Number.NaN);
      keepOpen();
      const stream = await broadcast.subscribe({
        owner: caller.name,
        filter: {
          ...(sessionId === null ? {} : { sessionId }),
          ...(types === undefined ? {} : { types: new Set(types) }),
        },
        ...(Number.isSafeInteger(lastEventId) ? { lastEventId } : {}),
        includeInit: isTrue(query.get("include_init") ?? "true"),
        async init() {
          const only = sessionId === null ? null : await sessions.find(sessionId);
          const shown = sessionId === null ? await sessions.newest(MAX_INIT_SESSIONS) : only === null ? [] : [only];
          return { sessions: shown.map(wireSession) };
        },
        signal: request.signal,
      });
      if (caller.name !== null && caller.hasEnded?.() === true) broadcast.endOf(caller.name);
      return new Response(stream, { headers: streamHeaders(types) });
    },
  });
}

function streamHeaders(types: readonly string[] | undefined): Record<string, string> {
  return {
    "content-type": "text/event-stream",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
    // Tells a client that the coordinator applied `types`; older coordinators ignore the parameter.
    ...(types === undefined ? {} : { "x-event-types": [...new Set(types)].join(",") }),
  };
}
