import * as v from "valibot";
import { AgentInfo, Blueprint, type CreateAgent } from "../protocol/agent.ts";
import { LoginCode } from "../protocol/access/login.ts";
import { keepValid } from "../protocol/keep-valid.ts";
import { type PollMessage, parsePollMessage } from "../protocol/poll.ts";
import { CreatedRun, type CreateRun, type FailureReason, Run, RunList, StopAnswer } from "../protocol/run.ts";
import { type OutputShown, RunOutputAnswer } from "../protocol/run-output.ts";
import {
  DuplicateRunner,
  type HeldRun,
  INSTANCE_HEADER,
  type Moment,
  Reconciled,
  Registered,
  RunnerInfo,
  RunnerList,
} from "../protocol/runner.ts";
import {
  type Session,
  SessionAnswer,
  type SessionEvent,
  SessionEvent as SessionEventSchema,
  SessionList,
  Session as SessionSchema,
  TreeAnswer,
  type TreeShape,
} from "../protocol/session.ts";
import { type Authorization, tlsOf } from "./credentials.ts";
import { CoordinatorFailure, failureOfAnswer, failureOfThrown, parseJson } from "./failure.ts";
import { readEventStream } from "./event-stream.ts";
import { type Call, callCoordinator } from "./http.ts";
import { isMissing, readRunResult, SessionResultAnswer, textOfResult } from "./run-result.ts";
import { type ListFilter, type Newest, newestRows } from "./newest-rows.ts";

/**
 * Any JSON object acknowledges. A web page with status 200 does not: it comes from something else than a coordinator.
 */
const Acknowledgement = v.looseObject({});

/** An entry of the second generation's registry of MCP servers. `config` holds headers. */
const McpServerEntry = v.looseObject({
  url: v.string(),
  default_config: v.nullish(v.record(v.string(), v.unknown()), {}),
});
export type McpServerEntry = v.InferOutput<typeof McpServerEntry>;

const RUN_ENDED = "run_ended";

/** What a heartbeat says. `claimedRunIds`: runs whose leases it renews. */
export interface HeartbeatWord {
  readonly claimedRunIds: readonly string[];
  readonly held?: readonly HeldRun[];
  readonly seen?: Moment;
  readonly answered?: string;
  /** Why the runner takes no runs. */
  readonly cannot_run?: string;
}

/** A report: the endpoint's verb, and the body without `runner_id` (`docs/protocol.md`, section 5). */
export type Report =
  | { readonly verb: "started" }
  | ({ readonly verb: "completed" } & Timed)
  | ({ readonly verb: "failed"; readonly error: string; readonly reason?: FailureReason } & Timed)
  | ({ readonly verb: "stopped"; readonly signal: string } & Timed)
  /** Only for a coordinator with the capability "return". */
  | ({ readonly verb: "returned"; readonly error: string } & Timed);

/** From the executor's start to its end. */
interface Timed {
  readonly durationMs?: number;
}

/**
 * The coordinator's HTTP API, one method per call. Every method rejects with a CoordinatorFailure, and none retries.
 */
export class CoordinatorClient {
  /** The coordinator is of the second generation, and has created a run from `parameters`. */
  #takesParameters = false;

  /** `instanceId`: of the runner's process that calls; none for other clients. */
  constructor(
    private readonly url: string,
    readonly authorization: Authorization,
    readonly instanceId?: string,
  ) {}

  get baseUrl(): string {
    return this.authorization.baseUrl ?? this.url;
  }

  get #instanceHeader(): Record<string, string> {
    return this.instanceId === undefined ? {} : { [INSTANCE_HEADER]: this.instanceId };
  }

  #call<S extends v.GenericSchema>(call: Call<S>): Promise<v.InferOutput<S>> {
    const headers = { ...this.#instanceHeader, ...call.headers };
    return callCoordinator(this.url, this.authorization, { ...call, headers });
  }

  health(signal?: AbortSignal): Promise<unknown> {
    return this.#call({
      method: "GET",
      path: "/health",
      answer: v.looseObject({ status: v.string() }),
      timeoutMs: 5_000,
      signal,
    });
  }

  register(body: object, signal?: AbortSignal): Promise<Registered> {
    return this.#call({ method: "POST", path: "/runner/register", body, answer: Registered, signal });
  }

  /** With `held` the answer is the coordinator's view of the runs, where it has the capability "reconcile". */
  heartbeat(runnerId: string, { claimedRunIds, ...word }: HeartbeatWord, signal?: AbortSignal): Promise<Reconciled> {
    const claimed = claimedRunIds.length === 0 ? {} : { claimed_run_ids: claimedRunIds };
    return this.#call({
      method: "POST",
      path: "/runner/heartbeat",
      body: { runner_id: runnerId, ...claimed, ...word },
      answer: Reconciled,
      timeoutMs: 15_000,
      signal,
    });
  }

  /**
   * One long poll, without a time limit. Uses `keepalive: false`: on a dead kept-alive connection, Bun would silently
   * repeat the GET, and the repeated poll would claim a second run. An aborted poll may have claimed a run: abort only
   * a `stopsOnly` poll, or as a last resort (see `Poller`).
   */
  async poll(
    runnerId: string,
    options: { stopsOnly: boolean; showsOutput?: boolean; signal: AbortSignal },
  ): Promise<PollMessage> {
    const what = "GET /runner/runs";
    const capacity = options.stopsOnly ? "&capacity=0" : "";
    const output = options.showsOutput === true ? "&output=1" : "";
    const path = `/runner/runs?runner_id=${encodeURIComponent(runnerId)}${capacity}${output}`;
    const { signal } = options;
    try {
      signal.throwIfAborted();
      const header = await this.authorization.header();
      const headers = { ...this.#instanceHeader, ...(header === null ? {} : { authorization: header }) };
      // By default Bun ends a request that is silent for five minutes.
      const more = { timeout: false, ...tlsOf(this.authorization) } as const;
      const init = { headers, keepalive: false, signal, redirect: "manual", ...more } as const;
      const response = await fetch(this.baseUrl + path, init);
      const text = await response.text();
      if (response.status === 204) return { kind: "nothing" };
      if (!response.ok) {
        if (response.status === 401 || response.status === 403) this.authorization.refused();
        throw this.#failureOf(what, response, text, path);
      }
      const message = parsePollMessage(parseJson(text));
      if (message === null) throw new CoordinatorFailure("unavailable", `${what}: invalid answer`, response.status);
      return message;
    } catch (error) {
      throw failureOfThrown(what, error, this.baseUrl);
    }
  }

  /** Sends a body that both generations accept. Returns the coordinator's moment, if it names one. */
  async report(runnerId: string, runId: string, report: Report): Promise<Moment | null> {
    const body = reportBody(runnerId, report);
    const { moment } = await this.#call({
      method: "POST",
      path: `/runner/runs/${encodeURIComponent(runId)}/${report.verb}`,
      body,
      answer: Reconciled,
    });
    return moment;
  }

  /**
   * `self` removes the registration at once. Without it, the runner's next poll is answered `deregistered` and
   * removes it.
   */
  async deregister(runnerId: string, options: { self: boolean }): Promise<void> {
    const path = `/runners/${encodeURIComponent(runnerId)}${options.self ? "?self=true" : ""}`;
    await this.#call({ method: "DELETE", path, answer: Acknowledgement, timeoutMs: 5_000 });
  }

  /** The blueprint of an agent, bare or wrapped in `{"agent": {...}}`. */
  async agent(name: string): Promise<Blueprint> {
    const body = await this.#call({
      method: "GET",
      path: `/agents/${encodeURIComponent(name)}`,
      answer: v.looseObject({}),
    });
    const parsed = v.safeParse(Blueprint, "agent" in body ? body["agent"] : body);
    if (parsed.success) return parsed.output;
    const [issue] = parsed.issues;
    throw new CoordinatorFailure("refused", `${v.getDotPath(issue) ?? "blueprint"}: ${issue.message}`);
  }

  mcpServer(id: string): Promise<McpServerEntry> {
    return this.#call({ method: "GET", path: `/mcp-servers/${encodeURIComponent(id)}`, answer: McpServerEntry });
  }

  /** All agents, without malformed rows. */
  async agents(): Promise<AgentInfo[]> {
    return keepValid(AgentInfo, await this.#call({ method: "GET", path: "/agents", answer: v.array(v.unknown()) }));
  }

  async createAgent(agent: CreateAgent): Promise<void> {
    await this.#call({ method: "POST", path: "/agents", body: agent, answer: Acknowledgement });
  }

  async deleteAgent(name: string): Promise<void> {
    await this.#call({ method: "DELETE", path: `/agents/${encodeURIComponent(name)}`, answer: Acknowledgement });
  }

  /**
   * The second generation reads the prompt from `parameters` and refuses a run without them, which creates nothing. A
   * prompt may be large, so it is never sent in both forms at once. With an `idempotencyKey`, the call can be repeated
   * safely; only the built-in coordinator supports keys.
   */
  async createRun(run: CreateRun, idempotencyKey?: string): Promise<CreatedRun> {
    const headers = idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey };
    const create = (body: object): Promise<CreatedRun> =>
      this.#call({ method: "POST", path: "/runs", body, headers, answer: CreatedRun });
    const { prompt, ...others } = run;
    const parameters = run.parameters ?? { prompt };
    if (this.#takesParameters) return create({ ...others, parameters });
    try {
      return await create(run);
    } catch (error) {
      if (!isParameterFault(error)) throw error;
      const created = await create({ ...others, parameters });
      this.#takesParameters = true;
      return created;
    }
  }

  run(runId: string): Promise<Run> {
    return this.#call({ method: "GET", path: `/runs/${encodeURIComponent(runId)}`, answer: Run });
  }

  /** All runs, without malformed rows. Only the built-in coordinator applies the filter; others ignore it. */
  async runs(filter: Readonly<Record<string, string>> = {}): Promise<Run[]> {
    const answer = await this.#call({ method: "GET", path: `/runs${query(filter)}`, answer: RunList });
    return keepValid(Run, answer.runs);
  }

  /** The newest runs that match the filter, in order of creation. */
  newestRuns(filter: ListFilter, limit: number): Promise<Newest<Run>> {
    return newestRows(filter, limit, async (page) => {
      const { runs, next_cursor } = await this.#call({ method: "GET", path: `/runs${query(page)}`, answer: RunList });
      return { rows: keepValid(Run, runs), nextCursor: next_cursor };
    });
  }

  newestSessions(filter: ListFilter, limit: number): Promise<Newest<Session>> {
    return newestRows(filter, limit, async (page) => {
      const { sessions, next_cursor } = await this.#call({
        method: "GET",
        path: `/sessions${query(page)}`,
        answer: SessionList,
      });
      return { rows: keepValid(SessionSchema, sessions), nextCursor: next_cursor };
    });
  }

  /**
   * The output of a run from `from`, or its end if `from` is null. Fails with 409, 410, 501 or 503 if the output
   * cannot be shown, and with 404 at a coordinator without this endpoint.
   */
  runOutput(
    runId: string,
    from: { readonly stdout: number; readonly stderr: number } | null,
    bytes: number,
  ): Promise<RunOutputAnswer> {
    const offsets = from === null ? "" : `&stdout_from=${from.stdout}&stderr_from=${from.stderr}`;
    const path = `/runs/${encodeURIComponent(runId)}/output?bytes=${bytes}${offsets}`;
    return this.#call({ method: "GET", path, answer: RunOutputAnswer });
  }

  async sendOutput(runId: string, shown: OutputShown): Promise<void> {
    await this.#call({
      method: "POST",
      path: `/runner/runs/${encodeURIComponent(runId)}/output`,
      body: shown,
      answer: Acknowledgement,
    });
  }

  stopRun(runId: string): Promise<StopAnswer> {
    return this.#call({ method: "POST", path: `/runs/${encodeURIComponent(runId)}/stop`, answer: StopAnswer });
  }

  stopSession(sessionId: string): Promise<StopAnswer> {
    return this.#call({ method: "POST", path: `/sessions/${encodeURIComponent(sessionId)}/stop`, answer: StopAnswer });
  }

  async session(sessionId: string): Promise<Session> {
    const path = `/sessions/${encodeURIComponent(sessionId)}`;
    return (await this.#call({ method: "GET", path, answer: SessionAnswer })).session;
  }

  async sessions(): Promise<Session[]> {
    const answer = await this.#call({ method: "GET", path: "/sessions", answer: SessionList });
    return keepValid(SessionSchema, answer.sessions);
  }

  /** The session's place in its tree; null if the coordinator knows no such session, or lacks this endpoint. */
  async tree(sessionId: string): Promise<TreeShape | null> {
    try {
      const path = `/sessions/${encodeURIComponent(sessionId)}/tree`;
      return (await this.#call({ method: "GET", path, answer: TreeAnswer })).tree;
    } catch (error) {
      if (error instanceof CoordinatorFailure && error.status === 404) return null;
      throw error;
    }
  }

  /** The text of what a completed run itself said, or its data as JSON; null if it said nothing. */
  async runResult(run: Pick<Run, "run_id" | "session_id">): Promise<string | null> {
    const get = (path: string): Promise<unknown> => this.#optional(path);
    const own = await readRunResult(get, run);
    return own === undefined ? this.#sessionResult(run.session_id) : textOfResult(own);
  }

  /** The session's result: `result` in the first generation; `result_text` or `result_data` in the second. */
  async #sessionResult(sessionId: string): Promise<string | null> {
    const answer = await this.#optional(`/sessions/${encodeURIComponent(sessionId)}/result`);
    const parsed = v.safeParse(SessionResultAnswer, answer);
    if (!parsed.success) return null;
    const { result, result_text, result_data } = parsed.output;
    return textOfResult({ result_text: result ?? result_text ?? null, result_data });
  }

  async #optional(path: string): Promise<unknown> {
    try {
      return await this.#call({ method: "GET", path, answer: v.unknown() });
    } catch (error) {
      if (error instanceof CoordinatorFailure && isMissing(error.status)) return undefined;
      throw error;
    }
  }

  /**
   * Events of a session after event `after`, oldest first. `nextCursor` is undefined at a coordinator without pages,
   * which returns all events.
   */
  async sessionEvents(
    sessionId: string,
    after: number | null,
    limit: number,
  ): Promise<{ events: SessionEvent[]; nextCursor: string | null | undefined }> {
    const page = { order: "asc", limit: String(limit), ...(after === null ? {} : { cursor: String(after) }) };
    const schema = v.looseObject({ events: v.array(v.unknown()), next_cursor: v.optional(v.nullable(v.string())) });
    const answer = await this.#call({
      method: "GET",
      path: `/sessions/${encodeURIComponent(sessionId)}/events${query(page)}`,
      answer: schema,
    });
    return { events: keepValid(SessionEventSchema, answer.events), nextCursor: answer.next_cursor };
  }

  /** Whether one of the newest events of the session has this type and time. False if there is no such endpoint. */
  async hasEvent(sessionId: string, sought: { event_type: string; timestamp: string }): Promise<boolean> {
    const page = query({ order: "desc", limit: "100" });
    const answer = await this.#optional(`/sessions/${encodeURIComponent(sessionId)}/events${page}`);
    const parsed = v.safeParse(v.looseObject({ events: v.array(v.unknown()) }), answer);
    return keepValid(SessionEventSchema, parsed.success ? parsed.output.events : []).some(
      ({ event_type, timestamp }) => event_type === sought.event_type && isSameTime(timestamp, sought.timestamp),
    );
  }

  async sendEvent(event: SessionEvent): Promise<void> {
    const path = `/sessions/${encodeURIComponent(event.session_id)}/events`;
    await this.#call({ method: "POST", path, body: event, answer: Acknowledgement });
  }

  /**
   * Live changes of a session: yields each new event, and null for any other change. Ends when the coordinator closes
   * the stream or the signal fires.
   */
  async *sessionStream(sessionId: string, signal: AbortSignal): AsyncGenerator<SessionEvent | null> {
    const response = await this.#openStream({ session_id: sessionId }, signal);
    for await (const message of readEventStream(response.body)) {
      const parsed = v.safeParse(v.looseObject({ data: SessionEventSchema }), parseJson(message.data));
      yield message.event === "event" && parsed.success ? parsed.output.data : null;
    }
  }

  /**
   * Yields the session id of each run that ends. First yields null, once the stream is open: earlier ends are not
   * reported. Yields nothing at a coordinator without this stream. Ends when the coordinator closes the stream or the
   * signal fires.
   */
  async *runEnds(signal: AbortSignal): AsyncGenerator<string | null> {
    const response = await this.#openStream({ types: RUN_ENDED, include_init: "false" }, signal);
    if (response.headers.get("x-event-types") !== RUN_ENDED) return response.body.cancel();
    yield null;
    for await (const message of readEventStream(response.body)) {
      const parsed = v.safeParse(v.looseObject({ session_id: v.string() }), parseJson(message.data));
      if (message.event === RUN_ENDED && parsed.success) yield parsed.output.session_id;
    }
  }

  /**
   * Yields once the stream is open, and then after each change at the coordinator. The caller reads what changed.
   * Ends as `runEnds` does.
   */
  async *changes(signal: AbortSignal): AsyncGenerator<void> {
    const response = await this.#openStream({ include_init: "false" }, signal);
    yield;
    for await (const _ of readEventStream(response.body)) yield;
  }

  async #openStream(
    filter: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Response & { readonly body: ReadableStream<Uint8Array> }> {
    const header = await this.authorization.header();
    const headers: Record<string, string> = header === null ? {} : { authorization: header };
    const path = `/sse/sessions${query(filter)}`;
    const response = await fetch(this.baseUrl + path, {
      headers,
      signal,
      redirect: "manual",
      ...tlsOf(this.authorization),
    });
    if (response.status === 401 || response.status === 403) this.authorization.refused();
    if (!response.ok || response.body === null)
      throw this.#failureOf("GET /sse/sessions", response, await response.text(), path);
    return response as Response & { readonly body: ReadableStream<Uint8Array> };
  }

  /**
   * Rejects unless the coordinator is healthy. `clockAheadMs`: how far its clock is ahead of this machine's; null
   * without a `Date` header.
   */
  async probe(): Promise<{ clockAheadMs: number | null }> {
    await this.health();
    try {
      const init = { signal: AbortSignal.timeout(5_000), redirect: "manual", ...tlsOf(this.authorization) } as const;
      const response = await fetch(`${this.baseUrl}/health`, init);
      await response.body?.cancel();
      const date = Date.parse(response.headers.get("date") ?? "");
      // The header has whole seconds: adds half a second, the mean of the part that is cut.
      return { clockAheadMs: Number.isNaN(date) ? null : date + 500 - Date.now() };
    } catch (error) {
      throw failureOfThrown("GET /health", error, this.baseUrl);
    }
  }

  /** A code for a link to the dashboard, valid once. */
  async loginCode(): Promise<string> {
    return (await this.#call({ method: "POST", path: "/login/codes", answer: LoginCode })).code;
  }

  #failureOf(what: string, response: Response, text: string, path: string): CoordinatorFailure {
    const location = response.headers.get("location");
    return failureOfAnswer(what, response.status, text, { location, baseUrl: this.baseUrl, path });
  }

  async runners(): Promise<RunnerInfo[]> {
    const answer = await this.#call({ method: "GET", path: "/runners", answer: RunnerList });
    return keepValid(RunnerInfo, answer.runners);
  }
}

/**
 * The body of a 409 to `register` that means a duplicate: the identity is registered and online. Null for any other
 * failure.
 */
export function duplicateRunner(failure: CoordinatorFailure): DuplicateRunner | null {
  const parsed = v.safeParse(DuplicateRunner, failure.body);
  return failure.status === 409 && parsed.success ? parsed.output.detail : null;
}

/** Whether a coordinator of the second generation misses the `parameters` of a run. */
function isParameterFault(error: unknown): boolean {
  return (
    error instanceof CoordinatorFailure &&
    (error.status === 400 || error.status === 422) &&
    error.message.includes("parameter")
  );
}

function reportBody(runnerId: string, report: Report): object {
  if (report.verb === "started") return { runner_id: runnerId };
  const timed = report.durationMs === undefined ? {} : { duration_ms: report.durationMs };
  switch (report.verb) {
    case "completed":
      return { runner_id: runnerId, status: "success", session_status: "finished", ...timed };
    case "failed":
      return {
        runner_id: runnerId,
        error: report.error,
        ...(report.reason === undefined ? {} : { reason: report.reason }),
        ...timed,
      };
    case "stopped":
      return { runner_id: runnerId, signal: report.signal, ...timed };
    case "returned":
      return { runner_id: runnerId, error: report.error };
  }
}

function query(parameters: Readonly<Record<string, string>>): string {
  const text = new URLSearchParams(parameters).toString();
  return text === "" ? "" : `?${text}`;
}

/** A coordinator may write a time in another form than it got it. */
function isSameTime(one: string | null | undefined, other: string): boolean {
  return one === other || (one != null && Date.parse(one) === Date.parse(other));
}
