import type * as v from "valibot";
import { CreateAgent, UpdateAgent, UpdateAgentStatus } from "../../protocol/agent.ts";
import * as a from "../../protocol/answers.ts";
import { CreateRun } from "../../protocol/run.ts";
import { MOST_OUTPUT_BYTES, OutputShown, RunOutputAnswer, USUAL_OUTPUT_BYTES } from "../../protocol/run-output.ts";
import {
  CompletedReport,
  FailedReport,
  Heartbeat,
  Register,
  StartedReport,
  StoppedReport,
} from "../../protocol/runner.ts";
import { Bind, CreateSession, Metadata, SessionEvent, TreeAnswer as TreeShapeAnswer } from "../../protocol/session.ts";

/** What is written in the API's description about one route. */
export interface Operation {
  readonly summary: string;
  readonly tag: "runs" | "sessions" | "agents" | "runners" | "runner protocol" | "coordinator";
  /** Query parameters and what each says; a `!` at the end of its name: it has to be there. */
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: v.GenericSchema;
  /** What a success looks like, by status. Null: no body; a text: a media type that is not JSON. */
  readonly answers: Readonly<Record<number, v.GenericSchema | string | null>>;
  /** The refusals that it has beside 401, 403 and 500. */
  readonly faults?: readonly number[];
}

const paged = {
  limit:
    "at most so many rows, 1 to 1000 (100 where only `cursor` is given); without `limit` and `cursor` the whole list is written",
  cursor: "the `next_cursor` of the page before",
};
const ordered = { ...paged, order: "`desc`: newest first; `asc`: oldest first" };
const report = (what: string, body: v.GenericSchema): Operation => ({
  summary: `A runner reports: ${what}`,
  tag: "runner protocol",
  body,
  answers: { 200: a.OkAnswer },
  faults: [404, 409, 413, 422],
});
const eventList: Operation = {
  summary: "A session's events, oldest first unless `order=desc`",
  tag: "sessions",
  query: ordered,
  answers: { 200: a.EventsAnswer },
  faults: [404, 422],
};

/** Every route of the coordinator, by the name that it has in the route tables. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  "GET /health": { summary: "Whether it is up; needs no token", tag: "coordinator", answers: { 200: a.HealthAnswer } },
  "GET /openapi.json": { summary: "This description", tag: "coordinator", answers: { 200: "application/json" } },
  "GET /stats": {
    summary: "Counts of what there is now; outcomes, costs and times of the last hours",
    tag: "coordinator",
    query: { hours: "how many hours back, 1 to 8784; 24 by default" },
    answers: { 200: a.StatsAnswer },
    faults: [422],
  },

  "POST /runs": {
    summary: "Creates a run, and its session where it starts one",
    tag: "runs",
    headers: {
      "Idempotency-Key": "the same request with the same key within 24 hours is answered as before and creates nothing",
      traceparent: "the trace that the run belongs to (W3C Trace Context), where the body says none",
      tracestate: "goes with `traceparent`",
    },
    body: CreateRun,
    answers: { 200: a.CreatedRunAnswer },
    faults: [400, 404, 409, 413, 422],
  },
  "GET /runs": {
    summary: "Runs: the whole list in order of creation, or a page of it, newest first",
    tag: "runs",
    query: {
      status: "one or several, separated by commas",
      session: "only of this session",
      session_id: "the same as `session`",
      runner_id: "only those that this runner was given",
      ...ordered,
    },
    answers: { 200: a.RunsAnswer },
    faults: [422],
  },
  "GET /runs/:run_id": { summary: "A run", tag: "runs", answers: { 200: a.RunAnswer }, faults: [404] },
  "GET /runs/:run_id/output": {
    summary:
      "What a run has written to stdout and stderr, as its runner shows it: the end, or what follows an offset in bytes",
    tag: "runs",
    query: {
      stdout_from: "from this offset; without it the end",
      stderr_from: "from this offset; without it the end",
      bytes: `so much of each at most, 1 to ${MOST_OUTPUT_BYTES}; ${USUAL_OUTPUT_BYTES} by default`,
    },
    answers: { 200: RunOutputAnswer },
    faults: [404, 409, 410, 422, 501, 503],
  },
  "POST /runs/:run_id/stop": {
    summary: "Stops a run; of one that is tried again, its last attempt",
    tag: "runs",
    answers: { 200: a.StopRunAnswer },
    faults: [400, 404],
  },

  "GET /sessions": {
    summary: "Sessions: the whole list in order of creation, or a page of it, newest first",
    tag: "sessions",
    query: {
      status: "one or several, separated by commas",
      agent: "only of this agent",
      parent: "only what this session started",
      top: "`true`: only those without a parent",
      ...ordered,
    },
    answers: { 200: a.SessionsAnswer },
    faults: [422],
  },
  "POST /sessions": {
    summary: "Creates a session without a run",
    tag: "sessions",
    body: CreateSession,
    answers: { 200: a.SessionWrittenAnswer },
    faults: [400, 404, 409, 413, 422],
  },
  "GET /sessions/:session_id": {
    summary: "A session",
    tag: "sessions",
    answers: { 200: a.OneSessionAnswer },
    faults: [404],
  },
  "DELETE /sessions/:session_id": {
    summary: "Removes a session with its events; what runs in it is stopped",
    tag: "sessions",
    answers: { 200: a.SessionDeletedAnswer },
    faults: [404],
  },
  "GET /sessions/:session_id/status": {
    summary: "Its status; `not_existent` for an unknown one",
    tag: "sessions",
    answers: { 200: a.SessionStatusAnswer },
  },
  "GET /sessions/:session_id/result": {
    summary: "The text of its last assistant message, once it is finished",
    tag: "sessions",
    answers: { 200: a.ResultAnswer },
    faults: [400, 404],
  },
  "GET /sessions/:session_id/affinity": {
    summary: "Where it was executed",
    tag: "sessions",
    answers: { 200: a.AffinityAnswer },
    faults: [404],
  },
  "GET /sessions/:session_id/tree": {
    summary: "Where it stands in its tree: its depth, its children, the runs of the whole tree",
    tag: "sessions",
    answers: { 200: TreeShapeAnswer },
    faults: [404],
  },
  "GET /trees": {
    summary: "The sessions without a parent, each with the sums of its tree",
    tag: "sessions",
    query: {
      status: "one or several, separated by commas",
      agent: "only of this agent",
      active:
        "`true`: those in which a run is open, whatever the first session's own status; in the place of the other two",
      ...ordered,
    },
    answers: { 200: a.TreesAnswer },
    faults: [422],
  },
  "POST /trees/:session_id/stop": {
    summary: "Stops all open runs of a session and of all below it",
    tag: "sessions",
    answers: { 200: a.TreeStoppedAnswer },
    faults: [404],
  },
  "GET /trees/:session_id": {
    summary: "A session and all below it, with their sums; of more than 10,000 the deepest are left out (`is_cut`)",
    tag: "sessions",
    answers: { 200: a.TreeAnswer },
    faults: [404],
  },
  "POST /sessions/:session_id/stop": {
    summary: "Stops what runs in it and what waits in it",
    tag: "sessions",
    answers: { 200: a.StopRunAnswer },
    faults: [400, 404],
  },
  "POST /sessions/:session_id/bind": {
    summary: "An executor has taken it up",
    tag: "sessions",
    body: Bind,
    answers: { 200: a.SessionWrittenAnswer },
    faults: [400, 404, 413, 422],
  },
  "PATCH /sessions/:session_id/metadata": {
    summary: "Changes what is given",
    tag: "sessions",
    body: Metadata,
    answers: { 200: a.SessionWrittenAnswer },
    faults: [400, 404, 413, 422],
  },
  "POST /sessions/:session_id/events": {
    summary: "Adds an event; `usage`, `result` and `session_stop` may tell costs",
    tag: "sessions",
    body: SessionEvent,
    answers: { 200: a.OkAnswer },
    faults: [400, 404, 413, 422],
  },
  "GET /sessions/:session_id/events": eventList,
  "POST /events": {
    summary: "Adds an event to the session that it names",
    tag: "sessions",
    body: SessionEvent,
    answers: { 200: a.OkAnswer },
    faults: [400, 404, 413, 422],
  },
  "GET /events/:session_id": eventList,
  "GET /sse/sessions": {
    summary:
      "What happens, as server-sent events: init, session_created, session_updated, session_deleted, event, run_failed, run_ended",
    tag: "sessions",
    query: {
      session_id: "only what happens to this session",
      types: "only these, separated by commas; the header X-Event-Types of the answer repeats them",
      include_init: "`false`: no `init` with the newest 1000 sessions",
      api_key: "the token, for clients that cannot send headers",
    },
    headers: { "Last-Event-ID": "goes on after this event, or with `init` where it is too long ago" },
    answers: { 200: "text/event-stream" },
  },

  "GET /agents": {
    summary: "Agents; where the next page begins is in the header X-Next-Cursor",
    tag: "agents",
    query: { tags: "those that have all of them, separated by commas", ...paged },
    answers: { 200: a.AgentsAnswer },
    faults: [422],
  },
  "POST /agents": {
    summary: "Creates an agent",
    tag: "agents",
    body: CreateAgent,
    answers: { 201: a.AgentShown },
    faults: [400, 409, 413, 422],
  },
  "GET /agents/:name": { summary: "An agent", tag: "agents", answers: { 200: a.AgentShown }, faults: [404] },
  "PATCH /agents/:name": {
    summary: "Changes what is given; 409 for an agent that lives as a file",
    tag: "agents",
    body: UpdateAgent,
    answers: { 200: a.AgentShown },
    faults: [400, 404, 409, 413, 422],
  },
  "PATCH /agents/:name/status": {
    summary: "Activates or deactivates an agent",
    tag: "agents",
    body: UpdateAgentStatus,
    answers: { 200: a.AgentShown },
    faults: [400, 404, 409, 413, 422],
  },
  "DELETE /agents/:name": { summary: "Removes an agent", tag: "agents", answers: { 204: null }, faults: [404, 409] },

  "GET /runners": {
    summary: "The registered runners",
    tag: "runners",
    query: paged,
    answers: { 200: a.RunnersAnswer },
    faults: [422],
  },
  "DELETE /runners/:runner_id": {
    summary: "Tells a runner to go with its next poll, or removes it at once if it says so itself",
    tag: "runners",
    query: { self: "`true`: the runner itself asks" },
    answers: { 200: a.RunnerRemovedAnswer },
    faults: [404],
  },

  "POST /runner/register": {
    summary: "Registers a runner; 409 while one of its identity is online",
    tag: "runner protocol",
    body: Register,
    answers: { 200: a.RegisteredAnswer },
    faults: [400, 409, 413, 422],
  },
  "GET /runner/runs": {
    summary: "The long poll: a run that is claimed by it, runs to stop, or the word to go; 204 where nothing came",
    tag: "runner protocol",
    query: {
      "runner_id!": "who asks",
      capacity: "0: stops only",
      output: "1: this runner shows the output of its runs",
    },
    answers: { 200: a.PollAnswer, 204: null },
    faults: [422],
  },
  "POST /runner/heartbeat": {
    summary: "The runner lives, and has these claims",
    tag: "runner protocol",
    body: Heartbeat,
    answers: { 200: a.OkAnswer },
    faults: [400, 413, 422],
  },
  "POST /runner/runs/:run_id/output": {
    summary: "A runner shows what was wanted of a run's output",
    tag: "runner protocol",
    body: OutputShown,
    answers: { 200: a.OkAnswer },
    faults: [400, 401, 413, 422],
  },
  "POST /runner/runs/:run_id/started": report("the executor is started", StartedReport),
  "POST /runner/runs/:run_id/completed": report("the run has completed", CompletedReport),
  "POST /runner/runs/:run_id/failed": report("the run has failed, and perhaps why", FailedReport),
  "POST /runner/runs/:run_id/stopped": report("the run was stopped", StoppedReport),
};
