import * as v from "valibot";
import { Backoff } from "../async/backoff.ts";
import { delay } from "../async/delay.ts";
import { linked } from "../async/linked.ts";
import { describeError } from "../errors.ts";
import { randomHex12 } from "../protocol/identifiers.ts";
import { RisingTime } from "../protocol/rising-time.ts";
import { CreatedRun, type ExecutionMode, isTerminal, Run, RunList } from "../protocol/run.ts";
import { type Bind, type Metadata, type Session, SessionAnswer, type SessionEvent } from "../protocol/session.ts";

/** A call to the API that was refused or got no answer in any attempt. `status` is 0 without an answer. */
export class SessionCallError extends Error {
  override readonly name = "SessionCallError";
  readonly status: number;
  constructor(message: string, status: number, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.status = status;
  }
}

export interface SessionClientOptions {
  /** `AGENT_ORCHESTRATOR_API_URL`: the runner's gateway. Its path contains a secret, so no message contains the URL. */
  readonly apiUrl: string;
  readonly sessionId: string;
  /** Ends waits and retries; the call then rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /** Maximum attempts of a call with a transient error (408, 429, 500). */
  readonly attempts?: number;
  /** How long to wait for an unreachable coordinator (no answer, 502, 503, 504). */
  readonly patienceMs?: number;
  readonly backoffBaseMs?: number;
  readonly callTimeoutMs?: number;
}

/** An event without `session_id` and `timestamp`, which the client adds. */
export type NewEvent = Omit<SessionEvent, "session_id" | "timestamp">;

export interface ChildRun {
  readonly prompt: string;
  readonly executionMode: ExecutionMode;
  readonly agentName?: string;
  readonly projectDir?: string;
}

const ResultAnswer = v.looseObject({ result: v.nullish(v.string()), result_text: v.nullish(v.string()) });

/**
 * An executor's calls about its session, sent one at a time in the order of the calls. Waits up to a day for an
 * unreachable coordinator: the agent's work is worth more than the wait, and a stop ends the wait. Tries a call with a
 * transient error 12 times. Retries may deliver an event twice, but never out of order.
 */
export class SessionClient {
  readonly #options: Required<SessionClientOptions>;
  readonly #time = new RisingTime();
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: SessionClientOptions) {
    this.#options = {
      attempts: 12,
      patienceMs: 24 * 3_600_000,
      backoffBaseMs: 250,
      callTimeoutMs: 40_000,
      ...options,
      apiUrl: options.apiUrl.replace(/\/+$/, ""),
    };
  }

  /** Reports the executor of the session, which is `running` from then on. */
  async bind(bind: Bind): Promise<void> {
    await this.#call("POST", `${this.#sessionPath}/bind`, bind);
  }

  async event(event: NewEvent): Promise<void> {
    const body = { ...event, session_id: this.#options.sessionId, timestamp: this.#time.next() };
    await this.#call("POST", `${this.#sessionPath}/events`, body);
  }

  async message(role: "user" | "assistant", text: string): Promise<void> {
    await this.event({ event_type: "message", role, content: [{ type: "text", text }] });
  }

  async metadata(metadata: Partial<Metadata>): Promise<void> {
    await this.#call("PATCH", `${this.#sessionPath}/metadata`, metadata);
  }

  /** Reads the session: host and folder of its last run, and the executor's own session id. */
  async session(): Promise<Session> {
    return v.parse(SessionAnswer, await this.#call("GET", this.#sessionPath)).session;
  }

  /** Starts a session whose parent is this one. */
  async startChild(child: ChildRun): Promise<CreatedRun> {
    // Choosing the id here makes the request safe to retry: a second attempt finds the session of the first.
    const childSessionId = `ses_${randomHex12()}`;
    const body = {
      type: "start_session",
      session_id: childSessionId,
      parent_session_id: this.#options.sessionId,
      execution_mode: child.executionMode,
      prompt: child.prompt,
      // The second generation of the API reads the prompt from here and ignores the field above.
      parameters: { prompt: child.prompt },
      ...(child.agentName === undefined ? {} : { agent_name: child.agentName }),
      ...(child.projectDir === undefined ? {} : { project_dir: child.projectDir }),
    };
    try {
      return v.parse(CreatedRun, await this.#call("POST", "/runs", body));
    } catch (error) {
      if (!(error instanceof SessionCallError) || error.status !== 409) throw error;
      return await this.#runOfSession(childSessionId, error);
    }
  }

  /** Polls a run every `pollMs` until it has ended. */
  async runEnded(runId: string, pollMs = 500): Promise<Run> {
    for (;;) {
      const run = v.parse(Run, await this.#call("GET", `/runs/${encodeURIComponent(runId)}`));
      if (isTerminal(run.status)) return run;
      await delay(pollMs, this.#options.signal);
    }
  }

  /** The result text of a finished session. */
  async result(sessionId: string): Promise<string> {
    const answer = v.parse(ResultAnswer, await this.#call("GET", `/sessions/${encodeURIComponent(sessionId)}/result`));
    return answer.result ?? answer.result_text ?? "";
  }

  get #sessionPath(): string {
    return `/sessions/${encodeURIComponent(this.#options.sessionId)}`;
  }

  async #runOfSession(sessionId: string, conflict: SessionCallError): Promise<CreatedRun> {
    const { runs } = v.parse(RunList, await this.#call("GET", "/runs"));
    for (const candidate of runs) {
      const run = v.safeParse(CreatedRun, candidate);
      if (run.success && run.output.session_id === sessionId) return run.output;
    }
    throw conflict;
  }

  #call(method: string, path: string, body?: unknown): Promise<unknown> {
    const call = this.#last.then(() => this.#callWithRetries(method, path, body));
    this.#last = call.catch(() => {});
    return call;
  }

  async #callWithRetries(method: string, path: string, body: unknown): Promise<unknown> {
    const { signal, attempts, patienceMs, backoffBaseMs } = this.#options;
    const endMs = performance.now() + patienceMs;
    const backoff = new Backoff({ baseMs: backoffBaseMs, capMs: 8_000 });
    for (let errors = 0; ;) {
      signal.throwIfAborted();
      try {
        return await this.#attempt(method, path, body);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof SessionCallError)) throw error;
        const mayRetry = isUnreachable(error.status)
          ? performance.now() < endMs
          : isTransient(error.status) && ++errors < attempts;
        if (!mayRetry) throw error;
      }
      await delay(backoff.nextMs(), signal);
    }
  }

  async #attempt(method: string, path: string, body: unknown): Promise<unknown> {
    const { status, text } = await this.#exchange(method, path, body);
    const isSuccess = status >= 200 && status <= 299;
    if (isOfStranger(status, text))
      throw new SessionCallError(`${method} ${path} failed: the answer (${status}) is not the gateway's`, 0);
    if (!isSuccess) throw new SessionCallError(`${method} ${path} failed (${status}): ${text.slice(0, 500)}`, status);
    return text === "" ? null : JSON.parse(text);
  }

  async #exchange(method: string, path: string, body: unknown): Promise<{ status: number; text: string }> {
    const { apiUrl, signal, callTimeoutMs } = this.#options;
    using abort = linked(signal);
    const timer = setTimeout(
      () => abort.abort(new DOMException("The operation timed out.", "TimeoutError")),
      callTimeoutMs,
    );
    try {
      const response = await fetch(apiUrl + path, {
        method,
        signal: abort.signal,
        // A redirect would take prompts and results to another address.
        redirect: "manual",
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      });
      return { status: response.status, text: await response.text() };
    } catch (error) {
      throw new SessionCallError(`${method} ${path} got no answer: ${describeError(error)}`, 0, error);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** What a server answers to a request before it looks at the path. */
const WITHOUT_BODY: ReadonlySet<number> = new Set([400, 408, 413, 429, 431]);

/**
 * Whether a proxy has answered, or another program that took the port while the runner is away. The gateway never
 * redirects, and refuses with JSON.
 */
function isOfStranger(status: number, text: string): boolean {
  if (status >= 500) return false;
  if (status >= 300 && status < 400) return true;
  if (text === "" && (status < 300 || WITHOUT_BODY.has(status))) return false;
  try {
    JSON.parse(text);
    return false;
  } catch {
    return true;
  }
}

/** No answer, or the gateway or a proxy reports that there is none. */
function isUnreachable(status: number): boolean {
  return status === 0 || (status >= 502 && status <= 504);
}

function isTransient(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}
