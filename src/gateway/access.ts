import * as v from "valibot";
import type { CoordinatorClient } from "../client/coordinator-client.ts";
import type { Log } from "../log.ts";
import type { CreationLimits, TreeLimits } from "../protocol/creation-limits.ts";
import { parseJson, TooDeep } from "../protocol/json.ts";
import { RunList } from "../protocol/run.ts";
import { DROPPED_HEADER, SessionEvent, SessionList } from "../protocol/session.ts";
import { traceOfHeaders } from "../protocol/trace-context.ts";
import { createRun } from "./create-run.ts";
import { acknowledgement, detail, forward } from "./forward.ts";
import { type Grant, OUTSIDE } from "./grant.ts";
import { type ChildBounds, outsideFolder } from "./project-bounds.ts";

/** What a run may read. `tree`: its own tree of sessions. `coordinator`: everything but the endpoints for runners. */
export type GatewayScope = "tree" | "coordinator";

export interface AccessRequest {
  readonly request: Request;
  /** The decoded segments of the path after the token. */
  readonly segments: readonly string[];
  readonly search: string;
  readonly grant: Grant;
  readonly scope: GatewayScope;
  readonly limits: TreeLimits;
  readonly bounds: ChildBounds;
  readonly coordinator: CoordinatorClient;
  readonly hostname: string;
  readonly executorType: string;
  readonly log: Log;
}

const LOGGED_REFUSALS = 10;
const READABLE_OF_A_SESSION = new Set(["status", "result", "affinity", "events"]);
const READABLE_IN_COORDINATOR_SCOPE = new Set(["sessions", "runs", "events", "runners", "sse"]);

/**
 * Decides every request of a run. A run may write its own session; read agents; start, resume, read and stop runs and
 * sessions of its own tree; and delete descendants of its session. Everything else is 403. The orchestration tools
 * (src/mcp/) pass this check too.
 */
export async function decide(access: AccessRequest): Promise<Response> {
  const { request, segments, grant } = access;
  const [head, id, action, ...more] = segments;
  const own = grant.sessionId;
  if (more.length > 0 || head === undefined) return denied(access);
  if (request.method !== "GET" && !isOwnWrite(action ?? head)) grant.hasWorked = true;

  switch (`${request.method} ${head}`) {
    case "GET agents":
      return action === undefined ? pass(access) : denied(access);
    case "POST bind":
    case "POST events":
    case "PATCH metadata":
      return id === undefined && isOwnWrite(head) ? writeByBody(access, head) : denied(access);
    case "POST runs":
      if (id === undefined) return createOwnRun(access);
      return action === "stop" && (await isRunInTree(access, id)) ? pass(access) : denied(access);
    case "POST sessions":
      if (id === own && (action === "bind" || action === "events"))
        return writeOwn(access, action, await bodyOf(request));
      return action === "stop" && id !== undefined && (await grant.tree.has(id)) ? pass(access) : denied(access);
    case "DELETE sessions":
      return action === undefined && id !== undefined && id !== own && (await grant.tree.has(id))
        ? pass(access)
        : denied(access);
    case "PATCH sessions":
      return id === own && action === "metadata" ? writeOwn(access, action, await bodyOf(request)) : denied(access);
    default:
      return request.method === "GET" ? read(access) : denied(access);
  }
}

async function read(access: AccessRequest): Promise<Response> {
  const { segments, grant, scope, search } = access;
  const [head = "", id, action] = segments;
  if (scope === "coordinator" && READABLE_IN_COORDINATOR_SCOPE.has(head)) return pass(access);
  if (head === "sessions" || head === "runs") {
    if (id === undefined) return list(access, head);
    const isReadable =
      head === "runs"
        ? action === undefined || action === "result"
        : action === undefined || READABLE_OF_A_SESSION.has(action);
    const isOwn = isReadable && (head === "runs" ? await isRunInTree(access, id) : await grant.tree.has(id));
    return isOwn ? pass(access) : denied(access);
  }
  if (head === "events" && id !== undefined && action === undefined && (await grant.tree.has(id))) return pass(access);
  if (head === "sse" && id === "sessions") {
    // Rebuilds the query. A second `session_id` would pass unchecked, and `init` could contain foreign sessions.
    const sessionId = new URLSearchParams(search).get("session_id");
    const narrowed = new URLSearchParams({ session_id: sessionId ?? "", include_init: "false" });
    if (sessionId !== null && (await grant.tree.has(sessionId)))
      return pass({ ...access, search: `?${narrowed.toString()}` });
  }
  return denied(access);
}

/** The coordinator's list, without rows outside the run's tree. */
async function list(access: AccessRequest, head: "sessions" | "runs"): Promise<Response> {
  const response = await pass(access);
  if (!response.ok) return response;
  const members = await access.grant.tree.all();
  const isMember = (row: unknown): boolean => {
    const parsed = v.safeParse(v.looseObject({ session_id: v.string() }), row);
    return parsed.success && members.has(parsed.output.session_id);
  };
  const body: unknown = await response.json();
  if (head === "sessions") {
    const answer = v.parse(SessionList, body);
    return Response.json({ ...answer, sessions: answer.sessions.filter(isMember) });
  }
  const answer = v.parse(RunList, body);
  return Response.json({ ...answer, runs: answer.runs.filter(isMember) });
}

/** Creates a run. Its parent is always the executor's own session; a resume must stay in that session's tree. */
async function createOwnRun(access: AccessRequest): Promise<Response> {
  const { grant, request, coordinator, log } = access;
  const { runId: run, sessionId, tree } = grant;
  const asked = await bodyOf(request);
  if (asked instanceof Response) return asked;
  const body = placed(access, asked);
  if (body instanceof Response) return body;
  const target = typeof body["session_id"] === "string" ? body["session_id"] : null;
  if (body["type"] === "resume_session" && (target === null || !(await tree.has(target)))) return denied(access);
  const requestTrace = traceOfHeaders(request.headers);
  const trace = requestTrace.traceparent === undefined ? grant.trace : requestTrace;
  const creator = {
    sessionId,
    tree,
    creations: grant.creations,
    limits: creationLimits(access),
    trace,
    coordinator,
    log,
    name: `run ${run}`,
    context: { run, session: sessionId },
  };
  return createRun(creator, body);
}

function creationLimits({ grant, limits, bounds }: AccessRequest): CreationLimits {
  const { maxAttempts, childrenAnywhere: anywhere } = bounds;
  return { tree: limits, run: grant.runId === OUTSIDE ? null : { runId: grant.runId, maxAttempts, anywhere } };
}

/** Demands the runner of this folder, where the run would work. */
const DemandedFolder = v.object({ project_dir: v.string() });

/** The body with the folder of the own run, if that was submitted with one and the body names none; or a refusal. */
function placed({ grant, bounds, log }: AccessRequest, body: JsonObject): JsonObject | Response {
  const { runId: run, projectDir } = grant;
  const demanded = v.safeParse(DemandedFolder, body["additional_demands"]);
  const outside =
    outsideFolder(body["project_dir"], grant, bounds) ??
    outsideFolder(demanded.success ? demanded.output.project_dir : null, grant, bounds);
  if (outside !== null) {
    const name = `run ${run}`;
    log.warn(`Refused to create a run for ${name}: ${outside}`, { run, session: grant.sessionId });
    return detail(403, outside);
  }
  const isOpen = !body["project_dir"] && body["type"] !== "resume_session";
  return isOpen && projectDir !== null && !bounds.childrenAnywhere ? { ...body, project_dir: projectDir } : body;
}

const OWN_WRITES = ["bind", "events", "metadata"] as const;
type OwnWrite = (typeof OWN_WRITES)[number];

function isOwnWrite(segment: string): segment is OwnWrite {
  return OWN_WRITES.some((name) => name === segment);
}

/**
 * The second generation's short paths, and the first generation's legacy `POST /events`: the body names the session.
 */
async function writeByBody(access: AccessRequest, action: OwnWrite): Promise<Response> {
  const body = await bodyOf(access.request);
  if (body instanceof Response) return body;
  const sessionId = body["session_id"];
  if (typeof sessionId !== "string" || sessionId === "") return detail(400, "session_id required");
  if (sessionId !== access.grant.sessionId) return denied(access);
  if (action === "bind" && !body["executor_session_id"]) return detail(400, "executor_session_id required");
  if (action === "events") return writeOwn(access, action, body);
  const { session_id: _, ...rest } = body;
  return writeOwn(access, action, rest);
}

async function writeOwn(access: AccessRequest, action: OwnWrite, body: JsonObject | Response): Promise<Response> {
  if (body instanceof Response) return body;
  // The session's folder is that of its later runs.
  const outside = action === "events" ? null : outsideFolder(body["project_dir"], access.grant, access.bounds);
  if (outside !== null) return detail(403, outside);
  if (action === "metadata") return passBody(access, `${ownPath(access)}/metadata`, body);
  if (action === "bind") return passBody(access, `${ownPath(access)}/bind`, ofThisRunner(access, body));
  if (body["session_id"] !== undefined && body["session_id"] !== access.grant.sessionId) return denied(access);
  const event = v.safeParse(SessionEvent, body);
  if (!event.success || !isNoWork(event.output)) access.grant.hasWorked = true;
  const send = async (): Promise<Response> => {
    const response = await passBody(access, `${ownPath(access)}/events`, body);
    if (response.ok && event.success && !response.headers.has(DROPPED_HEADER)) access.grant.noteEvent(event.output);
    return response;
  };
  if (!event.success || event.output.event_type !== "session_stop") return send();
  return (await access.grant.sendStop(event.output, send)) ?? Response.json({ ok: true });
}

/** An executor that finds that it can do nothing may have sent these: they open a turn, or tell why it ended. */
function isNoWork({ event_type, role }: SessionEvent): boolean {
  return ["session_start", "ending"].includes(event_type) || (event_type === "message" && role === "user");
}

/**
 * The bind with the fields that one generation or the other requires. The profile is always the runner's: the second
 * generation gives a resume only to a runner of the bound profile, and an executor may call itself otherwise.
 */
function ofThisRunner({ hostname, executorType }: AccessRequest, body: JsonObject): object {
  return { hostname, executor_type: executorType, ...body, executor_profile: executorType };
}

function ownPath({ grant }: AccessRequest): string {
  return `/sessions/${encodeURIComponent(grant.sessionId)}`;
}

async function isRunInTree({ coordinator, grant }: AccessRequest, runId: string): Promise<boolean> {
  return runId === grant.runId || grant.tree.has((await coordinator.run(runId)).session_id);
}

type JsonObject = Readonly<Record<string, unknown>>;

async function bodyOf(request: Request): Promise<JsonObject | Response> {
  const text = await request.text();
  if (text.trim() === "") return detail(400, "Request body required");
  try {
    const body = parseJson(text);
    const parsed = v.safeParse(v.record(v.string(), v.unknown()), body);
    return parsed.success && !Array.isArray(body) ? parsed.output : detail(400, "Invalid JSON: not an object");
  } catch (error) {
    if (error instanceof TooDeep) return detail(422, `The body ${error.message}`);
    return detail(400, `Invalid JSON: ${error instanceof Error ? error.message : "unreadable"}`);
  }
}

function upstreamPath({ segments, search }: AccessRequest): string {
  return `/${segments.map(encodeURIComponent).join("/")}${search}`;
}

/** Forwards the request unchanged. A caller that disconnects ends the request to the coordinator too. */
async function pass(access: AccessRequest): Promise<Response> {
  const { request, coordinator } = access;
  const { method, headers, body, signal } = request;
  const response = await forward(coordinator, { method, path: upstreamPath(access), headers, body, signal });
  return method === "GET" ? response : acknowledgement(response);
}

/** Completes a write even if its sender disconnects meanwhile: the write may be the last event of an executor. */
async function passBody(access: AccessRequest, path: string, body: object): Promise<Response> {
  const { coordinator, request } = access;
  const headers = new Headers({ "content-type": "application/json" });
  return acknowledgement(
    await forward(coordinator, { method: request.method, path, headers, body: JSON.stringify(body), signal: null }),
  );
}

function denied({ request, segments, grant, log }: AccessRequest): Response {
  const call = `${request.method} /${segments.join("/")}`;
  // An executor that calls in a loop must not flood the log.
  const level = ++grant.refusals <= LOGGED_REFUSALS ? "warn" : "debug";
  log[level](`Refused a call of the executor: ${call.slice(0, 200)}`, { run: grant.runId, session: grant.sessionId });
  return detail(
    403,
    `${call} is not allowed here: a run may write its own session and use runs and sessions of its own tree`,
  );
}
