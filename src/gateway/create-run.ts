import * as v from "valibot";
import type { Semaphore } from "../async/semaphore.ts";
import type { CoordinatorClient } from "../client/coordinator-client.ts";
import type { Log, LogContext } from "../log.ts";
import { CREATION_LIMITS_HEADER, type CreationLimits } from "../protocol/creation-limits.ts";
import { acknowledgement, detail, forward } from "./forward.ts";
import type { TraceFields } from "../protocol/trace-context.ts";
import type { SessionTree } from "./own-tree.ts";
import { foreseenLimit } from "./tree-limits.ts";

/** The agent on whose behalf a run is created. */
export interface Creator {
  /** The session that becomes the parent; null for an agent without a session. */
  readonly sessionId: string | null;
  /** The agent's own tree; null if the agent may use every session. */
  readonly tree: SessionTree | null;
  /** Serializes creations: each must see the sessions created before it, or parallel calls would exceed the limits. */
  readonly creations: Semaphore;
  readonly limits: CreationLimits;
  /** The trace of the run if the request's body names none. Sent as headers, which every coordinator accepts. */
  readonly trace: TraceFields;
  readonly coordinator: CoordinatorClient;
  readonly log: Log;
  /** The agent's name in log lines. */
  readonly name: string;
  readonly context: LogContext;
}

const Created = v.looseObject({ session_id: v.string(), run_id: v.string() });

/**
 * Sends `POST /runs` on an agent's behalf. The only place that sets the parent and enforces the limits of the tree. The
 * caller must check that a session to be resumed is in the agent's tree. 403: a limit is reached. 409: unknown parent.
 */
export function createRun(creator: Creator, body: Readonly<Record<string, unknown>>): Promise<Response> {
  return creator.creations.hold(async () => {
    const { sessionId, tree, limits, coordinator } = creator;
    const kind = body["type"] === "resume_session" ? "resume_session" : "start_session";
    const target = typeof body["session_id"] === "string" ? body["session_id"] : null;
    if (tree !== null && !(await tree.rootExists()))
      return detail(409, `The coordinator does not know the session ${tree.root} of this run`);
    // A resume adds a run to the tree of the resumed session.
    const grows = kind === "start_session" ? sessionId : target;
    const exceeded = grows === null ? null : await foreseenLimit({ kind, sessionId: grows }, limits.tree, coordinator);
    if (exceeded !== null) return refused(creator, exceeded);
    // A session that resumes itself must not become its own parent.
    const parent = target === sessionId ? null : sessionId;
    return post(creator, { ...body, parent_session_id: parent });
  });
}

function refused({ log, name, context }: Creator, why: string): Response {
  log.warn(`Refused to create a run for ${name}: ${why}`, context);
  return detail(403, why);
}

const Refused = v.object({ detail: v.string() });

/** Completes the creation even if the caller disconnects meanwhile. */
async function post(creator: Creator, body: Readonly<Record<string, unknown>>): Promise<Response> {
  const { coordinator, tree, limits, trace, log, name, context } = creator;
  const marks = { ...trace, [CREATION_LIMITS_HEADER]: JSON.stringify(limits) };
  const headers = new Headers({ "content-type": "application/json", ...marks });
  const response = await acknowledgement(
    await forward(coordinator, { method: "POST", path: "/runs", headers, body: JSON.stringify(body), signal: null }),
  );
  const text = await response.text();
  const refusal = response.status === 403 ? v.safeParse(Refused, JSON.parse(text)) : null;
  if (refusal?.success) return refused(creator, refusal.output.detail);
  if (!response.ok) return new Response(text, response);
  const created = v.safeParse(Created, JSON.parse(text));
  if (created.success) {
    const { run_id, session_id } = created.output;
    tree?.add(session_id);
    log.info(`Run ${run_id} (${String(body["type"])}) of session ${session_id} created by ${name}`, context);
  }
  return new Response(text, { status: response.status, headers: { "content-type": "application/json" } });
}
