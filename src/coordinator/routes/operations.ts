import type * as v from "valibot";
import {
  AuditAnswer,
  CallerAnswer,
  CreatedTokenAnswer,
  CreateToken,
  type Role,
  TokenRevokedAnswer,
  TokensAnswer,
} from "../../protocol/access/tokens.ts";
import { CreateAgent, UpdateAgent, UpdateAgentStatus } from "../../protocol/agent.ts";
import * as a from "../../protocol/answers.ts";
import { Login, LoginAnswer, LoginCodeAnswer } from "../../protocol/access/login.ts";
import { CreateRun } from "../../protocol/run.ts";
import { MAX_OUTPUT_BYTES, OutputShown, RunOutputAnswer, DEFAULT_OUTPUT_BYTES } from "../../protocol/run-output.ts";
import {
  CompletedReport,
  FailedReport,
  Heartbeat,
  Register,
  StartedReport,
  ReturnedReport,
  StoppedReport,
} from "../../protocol/runner.ts";
import { Bind, CreateSession, Metadata, SessionEvent, TreeAnswer as TreeShapeAnswer } from "../../protocol/session.ts";

/** One route in the OpenAPI description. */
export interface Operation {
  readonly summary: string;
  readonly tag: "runs" | "sessions" | "agents" | "runners" | "runner protocol" | "coordinator";
  /** The roles that may call this route, besides `admin`. `everybody`: also without a token. */
  readonly roles: readonly Exclude<Role, "admin">[] | "everybody";
  /** A write that is not in the audit list: too frequent, and it names its run and runner elsewhere. */
  readonly isRoutine?: true;
  /** Descriptions of the query parameters by name; a trailing `!` marks a required parameter. */
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: v.GenericSchema;
  /** The success bodies by status. Null: no body; a string: a media type other than JSON. */
  readonly answers: Readonly<Record<number, v.GenericSchema | string | null>>;
  /** The error statuses besides 401, 403, 500, 503 and 507. */
  readonly faults?: readonly number[];
}

/**
 * A runner also passes on what its agents read, write and start. `runner-scope.ts` narrows what it may write to the
 * sessions that its runners execute, and their descendants.
 */
const READERS = ["read", "submit", "answer", "runner"] as const;
const PEOPLE = ["read", "submit", "answer"] as const;
const SUBMITTERS = ["submit"] as const;
const STARTERS = ["submit", "runner"] as const;
const RUNNERS = ["runner"] as const;
const ADMIN_ONLY = [] as const;

const paged = {
  limit: "maximum number of rows, 1 to 1000 (default with `cursor`: 100); without `limit` and `cursor`: the whole list",
  cursor: "the `next_cursor` of the previous page",
};
const ordered = { ...paged, order: "`desc`: newest first; `asc`: oldest first" };
const instance = {
  "X-Runner-Instance": "the `instance_id` of the registration; 401 if another instance has registered since",
};
const report = (event: string, body: v.GenericSchema): Operation => ({
  summary: `Reports that ${event}`,
  tag: "runner protocol",
  roles: RUNNERS,
  isRoutine: true,
  body,
  headers: instance,
  answers: { 200: a.ReportedAnswer },
  faults: [404, 409, 413, 422],
});
const eventList: Operation = {
  summary: "A session's events, oldest first unless `order=desc`",
  tag: "sessions",
  roles: READERS,
  query: ordered,
  answers: { 200: a.EventsAnswer },
  faults: [404, 422],
};

/** Every route of the coordinator, by its key in the route tables. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  "GET /health": {
    summary: "Whether the database can be used (else 503), and what the start of runs waits for; needs no token",
    tag: "coordinator",
    roles: "everybody",
    answers: { 200: a.HealthAnswer },
  },
  "POST /login": {
    summary: "Exchanges the code of a link to the dashboard for the token; needs no token",
    tag: "coordinator",
    roles: "everybody",
    body: Login,
    answers: { 200: LoginAnswer },
    faults: [400, 409, 413, 422],
  },
  "POST /login/codes": {
    summary: "Creates a code for a link to the dashboard, URL/#login=CODE; it is valid once",
    tag: "coordinator",
    roles: PEOPLE,
    isRoutine: true,
    answers: { 200: LoginCodeAnswer },
    faults: [409],
  },
  "GET /caller": {
    summary: "The name and the role of the token of this request",
    tag: "coordinator",
    roles: READERS,
    answers: { 200: CallerAnswer },
  },
  "GET /tokens": {
    summary: "Lists the tokens with a role, without their secrets",
    tag: "coordinator",
    roles: ADMIN_ONLY,
    answers: { 200: TokensAnswer },
  },
  "POST /tokens": {
    summary: "Creates a token; only this answer has its secret",
    tag: "coordinator",
    roles: ADMIN_ONLY,
    body: CreateToken,
    answers: { 200: CreatedTokenAnswer },
    faults: [400, 409, 413, 422],
  },
  "DELETE /tokens/:name": {
    summary: "Revokes a token, and ends its open polls and streams",
    tag: "coordinator",
    roles: ADMIN_ONLY,
    answers: { 200: TokenRevokedAnswer },
    faults: [404],
  },
  "GET /audit": {
    summary: "Lists who changed what, newest first; the newest 100,000 changes are kept",
    tag: "coordinator",
    roles: ADMIN_ONLY,
    query: { limit: "maximum number of entries, 1 to 1000 (default: 100)", cursor: paged.cursor },
    answers: { 200: AuditAnswer },
    faults: [422],
  },
  "GET /openapi.json": {
    summary: "This OpenAPI document",
    tag: "coordinator",
    roles: READERS,
    answers: { 200: "application/json" },
  },
  "GET /stats": {
    summary: "Current counts; outcomes, costs and times of the last hours",
    tag: "coordinator",
    roles: PEOPLE,
    query: { hours: "number of hours back, 1 to 8784 (default: 24)" },
    answers: { 200: a.StatsAnswer },
    faults: [422],
  },

  "POST /runs": {
    summary: "Creates a run, and for `start_session` its session",
    tag: "runs",
    roles: STARTERS,
    headers: {
      "Idempotency-Key":
        "repeating the request with the same key within 24 hours returns the same answer and creates nothing",
      traceparent: "the trace of the run (W3C Trace Context) if the body has none",
      tracestate: "accompanies `traceparent`",
    },
    body: CreateRun,
    answers: { 200: a.CreatedRunAnswer },
    faults: [400, 404, 409, 413, 422],
  },
  "GET /runs": {
    summary: "Lists runs: all in order of creation, or one page, newest first",
    tag: "runs",
    roles: READERS,
    query: {
      status: "one or more statuses, comma-separated",
      session: "runs of this session",
      session_id: "alias of `session`",
      runner_id: "runs of this runner",
      ...ordered,
    },
    answers: { 200: a.RunsAnswer },
    faults: [422],
  },
  "GET /runs/:run_id": {
    summary: "Gets a run",
    tag: "runs",
    roles: READERS,
    answers: { 200: a.RunAnswer },
    faults: [404],
  },
  "GET /runs/:run_id/result": {
    summary: "Gets what a completed run itself said last; null if it said nothing, failed or was stopped",
    tag: "runs",
    roles: READERS,
    answers: { 200: a.RunResultAnswer },
    faults: [400, 404],
  },
  "GET /runs/:run_id/output": {
    summary: "Gets the stdout and stderr of a run from its runner: the end, or the bytes after an offset",
    tag: "runs",
    roles: READERS,
    query: {
      stdout_from: "offset in bytes (default: the end of the output)",
      stderr_from: "offset in bytes (default: the end of the output)",
      bytes: `maximum bytes per stream, 1 to ${MAX_OUTPUT_BYTES} (default: ${DEFAULT_OUTPUT_BYTES})`,
    },
    answers: { 200: RunOutputAnswer },
    faults: [404, 409, 410, 422, 501, 503],
  },
  "POST /runs/:run_id/stop": {
    summary: "Stops a run; for a retried run, stops its last attempt",
    tag: "runs",
    roles: STARTERS,
    answers: { 200: a.StopRunAnswer },
    faults: [400, 404],
  },

  "GET /sessions": {
    summary: "Lists sessions: all in order of creation, or one page, newest first",
    tag: "sessions",
    roles: READERS,
    query: {
      status: "one or more statuses, comma-separated",
      agent: "sessions of this agent",
      parent: "children of this session",
      top: "`true`: sessions without a parent",
      ...ordered,
    },
    answers: { 200: a.SessionsAnswer },
    faults: [422],
  },
  "POST /sessions": {
    summary: "Creates a session without a run",
    tag: "sessions",
    roles: SUBMITTERS,
    body: CreateSession,
    answers: { 200: a.SessionWrittenAnswer },
    faults: [400, 404, 409, 413, 422],
  },
  "GET /sessions/:session_id": {
    summary: "Gets a session",
    tag: "sessions",
    roles: READERS,
    answers: { 200: a.OneSessionAnswer },
    faults: [404],
  },
  "DELETE /sessions/:session_id": {
    summary: "Stops the open runs of a session, and deletes the session with its events",
    tag: "sessions",
    roles: RUNNERS,
    answers: { 200: a.SessionDeletedAnswer },
    faults: [404],
  },
  "GET /sessions/:session_id/status": {
    summary: "Gets the status of a session; `not_existent` for an unknown session",
    tag: "sessions",
    roles: READERS,
    answers: { 200: a.SessionStatusAnswer },
  },
  "GET /sessions/:session_id/result": {
    summary: "Gets the text of the last assistant message of a finished session",
    tag: "sessions",
    roles: READERS,
    answers: { 200: a.ResultAnswer },
    faults: [400, 404],
  },
  "GET /sessions/:session_id/affinity": {
    summary: "Gets where a session was executed",
    tag: "sessions",
    roles: READERS,
    answers: { 200: a.AffinityAnswer },
    faults: [404],
  },
  "GET /sessions/:session_id/tree": {
    summary: "Gets the place of a session in its tree: depth, children, and the runs of the whole tree",
    tag: "sessions",
    roles: READERS,
    answers: { 200: TreeShapeAnswer },
    faults: [404],
  },
  "GET /trees": {
    summary: "Lists sessions without a parent, each with the sums of its tree",
    tag: "sessions",
    roles: PEOPLE,
    query: {
      status: "one or more statuses, comma-separated",
      agent: "sessions of this agent",
      active: "`true`: trees with an open run, whatever the status of the root session; replaces `status` and `agent`",
      ...ordered,
    },
    answers: { 200: a.TreesAnswer },
    faults: [422],
  },
  "POST /trees/:session_id/stop": {
    summary: "Stops all open runs of a session and its descendants",
    tag: "sessions",
    roles: SUBMITTERS,
    answers: { 200: a.TreeStoppedAnswer },
    faults: [404],
  },
  "GET /trees/:session_id": {
    summary:
      "Gets a session and its descendants with their sums; beyond 10,000 sessions leaves out the deepest (`is_cut`)",
    tag: "sessions",
    roles: PEOPLE,
    answers: { 200: a.TreeAnswer },
    faults: [404],
  },
  "POST /sessions/:session_id/stop": {
    summary: "Stops the running and pending runs of a session",
    tag: "sessions",
    roles: STARTERS,
    answers: { 200: a.StopRunAnswer },
    faults: [400, 404],
  },
  "POST /sessions/:session_id/bind": {
    summary: "Binds a session to its executor",
    tag: "sessions",
    roles: RUNNERS,
    isRoutine: true,
    body: Bind,
    answers: { 200: a.SessionWrittenAnswer },
    faults: [400, 404, 413, 422],
  },
  "PATCH /sessions/:session_id/metadata": {
    summary: "Updates the given fields of a session",
    tag: "sessions",
    roles: RUNNERS,
    isRoutine: true,
    body: Metadata,
    answers: { 200: a.SessionWrittenAnswer },
    faults: [400, 404, 413, 422],
  },
  "POST /sessions/:session_id/events": {
    summary: "Adds an event to a session; `usage`, `result` and `session_stop` may carry costs",
    tag: "sessions",
    roles: RUNNERS,
    isRoutine: true,
    body: SessionEvent,
    answers: { 200: a.OkAnswer },
    faults: [400, 404, 413, 422],
  },
  "GET /sessions/:session_id/events": eventList,
  "POST /events": {
    summary: "Adds an event to the session named in the event",
    tag: "sessions",
    roles: RUNNERS,
    isRoutine: true,
    body: SessionEvent,
    answers: { 200: a.OkAnswer },
    faults: [400, 404, 413, 422],
  },
  "GET /events/:session_id": eventList,
  "GET /sse/sessions": {
    summary:
      "Streams changes as server-sent events: init, session_created, session_updated, session_deleted, event, " +
      "run_failed, run_ended",
    tag: "sessions",
    roles: READERS,
    query: {
      session_id: "events of this session",
      types: "event types, comma-separated; the answer repeats them in X-Event-Types",
      include_init: "`false`: omits `init` with the newest 1000 sessions",
      api_key: "the token, for clients that cannot send headers",
    },
    headers: { "Last-Event-ID": "continues after this event, or starts with `init` if the event is too old" },
    answers: { 200: "text/event-stream" },
  },

  "GET /agents": {
    summary: "Lists agents; X-Next-Cursor holds the cursor of the next page",
    tag: "agents",
    roles: READERS,
    query: { tags: "agents with all of these tags, comma-separated", ...paged },
    answers: { 200: a.AgentsAnswer },
    faults: [422],
  },
  "POST /agents": {
    summary: "Creates an agent",
    tag: "agents",
    roles: ADMIN_ONLY,
    body: CreateAgent,
    answers: { 201: a.AgentShown },
    faults: [400, 409, 413, 422],
  },
  "GET /agents/:name": {
    summary: "Gets an agent",
    tag: "agents",
    roles: READERS,
    answers: { 200: a.AgentShown },
    faults: [404],
  },
  "PATCH /agents/:name": {
    summary: "Updates the given fields of an agent; 409 for an agent defined by a file",
    tag: "agents",
    roles: ADMIN_ONLY,
    body: UpdateAgent,
    answers: { 200: a.AgentShown },
    faults: [400, 404, 409, 413, 422],
  },
  "PATCH /agents/:name/status": {
    summary: "Activates or deactivates an agent",
    tag: "agents",
    roles: ADMIN_ONLY,
    body: UpdateAgentStatus,
    answers: { 200: a.AgentShown },
    faults: [400, 404, 409, 413, 422],
  },
  "DELETE /agents/:name": {
    summary: "Deletes an agent",
    tag: "agents",
    roles: ADMIN_ONLY,
    answers: { 204: null },
    faults: [404, 409],
  },

  "GET /runners": {
    summary: "Lists the registered runners",
    tag: "runners",
    roles: READERS,
    query: paged,
    answers: { 200: a.RunnersAnswer },
    faults: [422],
  },
  "DELETE /runners/:runner_id": {
    summary: "Tells a runner to shut down at its next poll; with `self=true` removes the runner at once",
    tag: "runners",
    roles: RUNNERS,
    query: { self: "`true`: the request comes from the runner itself" },
    headers: instance,
    answers: { 200: a.RunnerRemovedAnswer },
    faults: [404],
  },

  "POST /runner/register": {
    summary: "Registers a runner; 409 while a runner of the same identity is online",
    tag: "runner protocol",
    roles: RUNNERS,
    body: Register,
    answers: { 200: a.RegisteredAnswer },
    faults: [400, 409, 413, 422],
  },
  "GET /runner/runs": {
    summary: "Long poll: claims a run, or returns runs to stop or a deregistration; 204 if there is nothing",
    tag: "runner protocol",
    roles: RUNNERS,
    query: {
      "runner_id!": "the polling runner",
      capacity: "0: claims no run",
      output: "1: this runner answers requests for output",
    },
    headers: instance,
    answers: { 200: a.PollAnswer, 204: null },
    faults: [422],
  },
  "POST /runner/heartbeat": {
    summary: "Keeps the runner alive and renews the leases of its claims; with `held`: compares which runs are open",
    tag: "runner protocol",
    roles: RUNNERS,
    isRoutine: true,
    headers: instance,
    body: Heartbeat,
    answers: { 200: a.HeartbeatAnswer },
    faults: [400, 413, 422],
  },
  "POST /runner/runs/:run_id/output": {
    summary: "Delivers requested output of a run",
    tag: "runner protocol",
    roles: RUNNERS,
    isRoutine: true,
    body: OutputShown,
    answers: { 200: a.OkAnswer },
    faults: [400, 401, 413, 422],
  },
  "POST /runner/runs/:run_id/started": report("the executor has started", StartedReport),
  "POST /runner/runs/:run_id/completed": report("the run has completed", CompletedReport),
  "POST /runner/runs/:run_id/failed": report("the run has failed, with the reason if known", FailedReport),
  "POST /runner/runs/:run_id/returned": report(
    "its machine cannot execute the run, and nothing was done: the run is pending again",
    ReturnedReport,
  ),
  "POST /runner/runs/:run_id/stopped": report("the run was stopped", StoppedReport),
};
