import type { CallToolResult } from "@modelcontextprotocol/server";
import { delay } from "../async/delay.ts";
import type { Session } from "../protocol/session.ts";
import type { CallContext } from "./call-context.ts";
import { truncated } from "./start-tools.ts";
import type { StatusArguments } from "./tool-arguments.ts";
import { ToolError, toolResult } from "./tool-result.ts";
import { untilSettled } from "./wait.ts";

type Format = "markdown" | "json" | null | undefined;

/** How long a deletion waits for a session to stop. */
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
  const rows = (await descendants(context)).map(({ session_id, status, agent_name, created_at, last_resumed_at }) => ({
    session_id,
    status,
    agent_name,
    created_at,
    last_resumed_at,
  }));
  return list(
    "sessions",
    rows,
    format,
    (row) =>
      `## ${row.session_id}\n- status: ${row.status}\n- agent: ${row.agent_name ?? "none"}\n` +
      `- created: ${row.created_at ?? "unknown"}`,
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

/** The descendants of the caller's session, without that session itself: a session cannot wait for its own end. */
async function descendants({ calls, caller }: CallContext): Promise<Session[]> {
  return (await calls.sessions()).filter(({ session_id }) => session_id !== caller.sessionId);
}

export async function sessionStatus(
  context: CallContext,
  { session_id, wait_seconds }: StatusArguments,
): Promise<CallToolResult> {
  if (wait_seconds > 0 && session_id === context.caller.sessionId)
    throw new ToolError(`${session_id} is your own session: it cannot wait for its own end.`);
  // Before the wait, because it throws for a session outside the caller's tree.
  const now = await context.calls.status(session_id);
  return toolResult({
    session_id,
    status: wait_seconds > 0 ? await untilSettled(context, session_id, wait_seconds * 1000) : now,
  });
}

export async function sessionResult({ calls }: CallContext, sessionId: string): Promise<CallToolResult> {
  const result = await calls.result(sessionId);
  if (typeof result !== "string") return toolResult({ session_id: sessionId, ...truncated(result) });
  const status = await calls.status(sessionId);
  const advice = ["failed", "stopped"].includes(status)
    ? "Continue it with resume_agent_session."
    : "Wait for its end with get_agent_session_status and wait_seconds, " +
      "or end your turn if you started it with async_callback.";
  throw new ToolError(`Session ${sessionId} has no result: it is ${status}. ${advice}`);
}

/** Stops and deletes the descendants of the caller's session. Deletes children before their parents. */
export async function deleteAll(context: CallContext): Promise<CallToolResult> {
  const { caller } = context;
  if (caller.sessionId === null) {
    throw new ToolError(
      "This tool deletes the descendants of your session, but your requests name no session. " +
        "Send the header X-Agent-Session-Id.",
    );
  }
  const sessions = deepestFirst(await descendants(context));
  let deleted = 0;
  const busy: string[] = [];
  for (const { session_id } of sessions) {
    const outcome = await deleteStopped(context, session_id);
    if (outcome === "deleted") deleted++;
    if (outcome === "busy") busy.push(session_id);
  }
  if (busy.length === 0) return toolResult({ deleted_count: deleted });
  return toolResult({
    deleted_count: deleted,
    still_running: busy,
    message: "The sessions in still_running are being stopped. Call this tool again in a minute.",
  });
}

/** The embedded coordinator stops a session's runs before it deletes the session; others refuse until it is stopped. */
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
