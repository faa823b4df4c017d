import type { CallToolResult } from "@modelcontextprotocol/server";
import { delay } from "../async/delay.ts";
import type { Session } from "../protocol/session.ts";
import type { CallContext } from "./call-context.ts";
import { cut } from "./start-tools.ts";
import type { StatusArguments } from "./tool-arguments.ts";
import { ToolError, toolResult } from "./tool-result.ts";
import { untilSettled } from "./wait.ts";

type Format = "markdown" | "json" | null | undefined;

/** A session that was told to stop is given so long before it is left where it is. */
const STOP_WAIT_MS = 10_000;
const RETRY_EVERY_MS = 250;

export async function listBlueprints({ calls, headers }: CallContext, format: Format): Promise<CallToolResult> {
  const agents = await calls.agents(headers.tags);
  const rows = agents.map(({ name, description, type, tags, parameters_schema }) => ({
    name,
    description,
    type,
    tags,
    parameters_schema,
  }));
  return list("agents", rows, format, ({ name, description }) => `## ${name}\n${description}`);
}

export async function listSessions(context: CallContext, format: Format): Promise<CallToolResult> {
  const rows = (await sessionsBelow(context)).map(
    ({ session_id, status, agent_name, created_at, last_resumed_at }) => ({
      session_id,
      status,
      agent_name,
      created_at,
      last_resumed_at,
    }),
  );
  return list(
    "sessions",
    rows,
    format,
    (row) =>
      `## ${row.session_id}\n- status: ${row.status}\n- agent: ${row.agent_name ?? "none"}\n- created: ${row.created_at ?? "unknown"}`,
  );
}

function list<T extends object>(
  name: string,
  rows: readonly T[],
  format: Format,
  markdown: (row: T) => string,
): CallToolResult {
  if (format === "json") return toolResult({ total: rows.length, [name]: rows });
  if (format === "markdown")
    return toolResult([...rows], rows.length === 0 ? `There are no ${name}.` : rows.map(markdown).join("\n\n"));
  return toolResult([...rows]);
}

/** What the caller and its child sessions have started; not its own session, which it would wait for in vain. */
async function sessionsBelow({ calls, caller }: CallContext): Promise<Session[]> {
  return (await calls.sessions()).filter(({ session_id }) => session_id !== caller.sessionId);
}

export async function sessionStatus(
  context: CallContext,
  { session_id, wait_seconds }: StatusArguments,
): Promise<CallToolResult> {
  if (wait_seconds > 0 && session_id === context.caller.sessionId)
    throw new ToolError(`${session_id} is your own session: it cannot wait for its own end.`);
  // Before the wait: whether it is one of the caller's.
  const now = await context.calls.status(session_id);
  return toolResult({
    session_id,
    status: wait_seconds > 0 ? await untilSettled(context, session_id, wait_seconds * 1000) : now,
  });
}

export async function sessionResult({ calls }: CallContext, sessionId: string): Promise<CallToolResult> {
  const result = await calls.result(sessionId);
  if (typeof result !== "string") return toolResult({ session_id: sessionId, ...cut(result) });
  const status = await calls.status(sessionId);
  const advice = ["failed", "stopped"].includes(status)
    ? "It has none; resume_agent_session can go on with it."
    : "Wait for its end with get_agent_session_status and wait_seconds, or end your turn if you started it with async_callback.";
  throw new ToolError(`Session ${sessionId} has no result: it is ${status}. ${advice}`);
}

/** Deletes all sessions below the caller's own, the deepest first, so that none is ever without its parent; what runs is stopped. */
export async function deleteAll(context: CallContext): Promise<CallToolResult> {
  const { caller } = context;
  if (caller.sessionId === null) {
    throw new ToolError(
      "This deletes the sessions below your own, and you have named none: send the header X-Agent-Session-Id.",
    );
  }
  const sessions = deepestFirst(await sessionsBelow(context));
  let deleted = 0;
  const left: string[] = [];
  for (const { session_id } of sessions) {
    const outcome = await deleteStopped(context, session_id);
    if (outcome === "deleted") deleted++;
    if (outcome === "busy") left.push(session_id);
  }
  if (left.length === 0) return toolResult({ deleted_count: deleted });
  return toolResult({
    deleted_count: deleted,
    still_running: left,
    message: "Those that are still running were told to stop: call this again in a while.",
  });
}

/** Our coordinator stops what runs in a session that is deleted; others refuse until it has been stopped. */
async function deleteStopped(
  { calls, cancelled }: CallContext,
  sessionId: string,
): Promise<"deleted" | "gone" | "busy"> {
  const endMs = performance.now() + STOP_WAIT_MS;
  for (let attempt = 0; ; attempt++) {
    const outcome = await calls.delete(sessionId);
    if (outcome !== "busy" || cancelled.aborted || performance.now() > endMs) return outcome;
    if (attempt === 0) await calls.stop(sessionId);
    await delay(RETRY_EVERY_MS, cancelled);
  }
}

function deepestFirst(sessions: readonly Session[]): Session[] {
  const parents = new Map(sessions.map(({ session_id, parent_session_id }) => [session_id, parent_session_id]));
  const depthOf = (id: string): number => {
    let depth = 0;
    for (let at = parents.get(id); at != null && depth < sessions.length; at = parents.get(at)) depth++;
    return depth;
  };
  return sessions.toSorted((a, b) => depthOf(b.session_id) - depthOf(a.session_id));
}
