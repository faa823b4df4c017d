import { Bind, CreateSession, Metadata, SessionEvent } from "../protocol/session.ts";
import type { Broadcast } from "./broadcast.ts";
import { HttpError, listResponse, readBody } from "./http.ts";
import type { Routes } from "./router.ts";
import type { RunTransitions } from "./run-transitions.ts";
import { isTrue } from "./runner-routes.ts";
import type { SessionEvents } from "./session-events.ts";
import { shapeOf } from "./session-tree.ts";
import { type Sessions, wireSession } from "./sessions.ts";
import type { Store } from "./store.ts";

/** Sessions, their events and results (protocol, sections 1b and 10). */
export function sessionRoutes(
  store: Store,
  sessions: Sessions,
  events: SessionEvents,
  transitions: RunTransitions,
  broadcast: Broadcast,
): Routes {
  return {
    "GET /sessions/:session_id/tree": ({ params }) => Response.json({ tree: shapeOf(store, sessions.get(params["session_id"] ?? "").session_id) }),
    ...readRoutes(sessions, events),
    ...writeRoutes(sessions, transitions),
    ...eventRoutes(sessions, events),
    ...broadcastRoutes(sessions, broadcast),
  };
}

function readRoutes(sessions: Sessions, events: SessionEvents): Routes {
  return {
    "GET /sessions": () => listResponse("sessions", sessions.pages()),
    "GET /sessions/:session_id": ({ params }) => Response.json({ session: wireSession(sessions.get(params["session_id"] ?? "")) }),
    "GET /sessions/:session_id/status": ({ params }) =>
      Response.json({ status: sessions.find(params["session_id"] ?? "")?.status ?? "not_existent" }),
    "GET /sessions/:session_id/result"({ params }) {
      const session = sessions.get(params["session_id"] ?? "");
      if (session.status !== "finished") throw new HttpError(400, `Session is not finished: it is ${session.status}`);
      const result = events.answer(session.session_id);
      if (result === null) throw new HttpError(404, "No result found: the session has no assistant message");
      return Response.json({ result });
    },
    "GET /sessions/:session_id/affinity"({ params }) {
      const { session_id, executor_session_id, hostname, project_dir, executor_type } = sessions.get(params["session_id"] ?? "");
      return Response.json({ affinity: { session_id, executor_session_id, hostname, project_dir, executor_type } });
    },
  };
}

function writeRoutes(sessions: Sessions, transitions: RunTransitions): Routes {
  return {
    async "POST /sessions"({ request }) {
      return Response.json({ ok: true, session: wireSession(sessions.create(await readBody(request, CreateSession))) });
    },
    async "POST /sessions/:session_id/bind"({ request, params }) {
      const session = sessions.bind(params["session_id"] ?? "", await readBody(request, Bind));
      return Response.json({ ok: true, session: wireSession(session) });
    },
    async "PATCH /sessions/:session_id/metadata"({ request, params }) {
      const session = sessions.patch(params["session_id"] ?? "", await readBody(request, Metadata));
      return Response.json({ ok: true, session: wireSession(session) });
    },
    "DELETE /sessions/:session_id"({ params }) {
      const { session_id } = transitions.deleteSession(params["session_id"] ?? "");
      return Response.json({ ok: true, session_id, deleted: true });
    },
  };
}

function eventRoutes(sessions: Sessions, events: SessionEvents): Routes {
  const list = (sessionId: string): Response => {
    sessions.get(sessionId);
    return listResponse("events", events.pages(sessionId));
  };
  return {
    async "POST /sessions/:session_id/events"({ request, params }) {
      events.add(params["session_id"] ?? "", await readBody(request, SessionEvent));
      return Response.json({ ok: true });
    },
    "GET /sessions/:session_id/events": ({ params }) => list(params["session_id"] ?? ""),
    async "POST /events"({ request }) {
      const event = await readBody(request, SessionEvent);
      events.add(event.session_id, event);
      return Response.json({ ok: true });
    },
    "GET /events/:session_id": ({ params }) => list(params["session_id"] ?? ""),
  };
}

function broadcastRoutes(sessions: Sessions, broadcast: Broadcast): Routes {
  return {
    "GET /sse/sessions"({ request, query, keepOpen }) {
      const sessionId = query.get("session_id");
      const types = query.get("types");
      const lastEventId = Number(request.headers.get("last-event-id") ?? Number.NaN);
      const only = sessionId === null ? undefined : sessions.find(sessionId);
      keepOpen();
      return broadcast.subscribe({
        wanted: { ...(sessionId === null ? {} : { sessionId }), ...(types === null ? {} : { types: new Set(types.split(",")) }) },
        ...(Number.isSafeInteger(lastEventId) ? { lastEventId } : {}),
        includeInit: isTrue(query.get("include_init") ?? "true"),
        init: () => ({ sessions: only === undefined ? [...sessions.pages()].flat() : only === null ? [] : [wireSession(only)] }),
        signal: request.signal,
      });
    },
  };
}
