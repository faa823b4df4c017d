import * as v from "valibot";
import type { Semaphore } from "../async/semaphore.ts";
import type { CoordinatorClient } from "../client/coordinator-client.ts";
import type { Log, LogContext } from "../log.ts";
import { acknowledgement, detail, forward } from "./forward.ts";
import type { TraceFields } from "../protocol/trace-context.ts";
import type { SessionTree } from "./own-tree.ts";
import { exceededLimit, type TreeLimits } from "./tree-limits.ts";

/** On whose behalf a run is created. */
export interface Creator {
  /** The session that becomes the parent; null for one outside of all sessions. */
  readonly sessionId: string | null;
  /** Its own tree; null where it may use every session. */
  readonly tree: SessionTree | null;
  /** One after the other, so that each sees what the one before has created. */
  readonly turns: Semaphore;
  readonly limits: TreeLimits;
  /** The trace that the run becomes part of, where the request's body names none: sent as headers, which no coordinator minds. */
  readonly trace: TraceFields;
  readonly coordinator: CoordinatorClient;
  readonly log: Log;
  /** Who it is, for a log line. */
  readonly name: string;
  readonly context: LogContext;
}

const Created = v.looseObject({ session_id: v.string(), run_id: v.string() });

/**
 * `POST /runs` on an agent's behalf, by whatever way it asks: the one place where its parent is set and the limits of its tree are
 * kept. The caller has checked that a session to be resumed is in its tree. Refusals are 403 (a limit) and 409 (no such parent).
 */
export function createRun(creator: Creator, body: Readonly<Record<string, unknown>>): Promise<Response> {
  return creator.turns.hold(async () => {
    const { sessionId, tree, limits, coordinator } = creator;
    const kind = body["type"] === "resume_session" ? "resume_session" : "start_session";
    const target = typeof body["session_id"] === "string" ? body["session_id"] : null;
    if (tree !== null && !(await tree.rootExists()))
      return detail(409, `The coordinator does not know the session ${tree.root} of this run`);
    // A resume adds to the tree of the session that is resumed.
    const grows = kind === "start_session" ? sessionId : target;
    const exceeded = grows === null ? null : await exceededLimit({ kind, sessionId: grows }, limits, coordinator);
    if (exceeded !== null) {
      creator.log.warn(`A run was refused to ${creator.name}: ${exceeded}`, creator.context);
      return detail(403, exceeded);
    }
    // A session that resumes itself later is not its own parent.
    const parent = target === sessionId ? null : sessionId;
    return post(creator, { ...body, parent_session_id: parent });
  });
}

/** A run whose creation was asked for whole is created, even if the one who asked ends meanwhile. */
async function post(
  { coordinator, tree, trace, log, name, context }: Creator,
  body: Readonly<Record<string, unknown>>,
): Promise<Response> {
  const headers = new Headers({ "content-type": "application/json", ...trace });
  const response = await acknowledgement(
    await forward(coordinator, { method: "POST", path: "/runs", headers, body: JSON.stringify(body), signal: null }),
  );
  if (!response.ok) return response;
  const text = await response.text();
  const created = v.safeParse(Created, JSON.parse(text));
  if (created.success) {
    const { run_id, session_id } = created.output;
    tree?.add(session_id);
    log.info(`Run ${run_id} (${String(body["type"])}) of session ${session_id} created by ${name}`, context);
  }
  return new Response(text, { status: response.status, headers: { "content-type": "application/json" } });
}
