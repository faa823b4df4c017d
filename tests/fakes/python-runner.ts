import type { Generation } from "../../src/protocol/poll.ts";

type Json = Readonly<Record<string, unknown>>;

/** What an executor of the Python runner gets. Resolves to its exit code. */
export type Execute = (run: {
  readonly runId: string;
  readonly stdin: string;
  readonly env: Readonly<Record<string, string>>;
}) => Promise<number>;

/** The keys that an assigned run always has: section 3 of the protocol. */
const COMMON_KEYS =
  "run_id type session_id agent_name project_dir parent_session_id execution_mode demands status runner_id error " +
  "created_at claimed_at started_at completed_at timeout_at";
const KEYS = {
  first: `${COMMON_KEYS} prompt`.split(" "),
  second: `${COMMON_KEYS} parameters scope resolved_agent_blueprint`.split(" "),
} as const;
/** The environment's POLL_TIMEOUT and five seconds, whatever the coordinator says. */
const POLL_MS = 35_000;
const HEARTBEAT_MS = 10_000;
const FAILURES_TO_LEAVE = 3;

/** The body of a registration of each generation. */
export const registrationOf = (generation: Generation): object =>
  generation === "first"
    ? { hostname: "python", project_dir: "/p", executor_type: "python" }
    : {
        hostname: "python",
        project_dir: "/p",
        executor_profile: "autonomous",
        executor: { type: "autonomous", command: "x", config: {}, agents_dir: null, lifecycle: "one_shot" },
      };

export async function call(url: string, path: string, body?: object): Promise<{ status: number; body: Json }> {
  const init =
    body === undefined
      ? {}
      : { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const response = await fetch(url + path, { ...init, signal: AbortSignal.timeout(POLL_MS), keepalive: false });
  const text = await response.text();
  return { status: response.status, body: text === "" ? {} : (JSON.parse(text) as Json) };
}

/** Fails as the Python runner does, which reads `run["parameters"]`. */
export function required<T>(from: Json, key: string): T {
  if (!(key in from)) throw new Error(`KeyError: '${key}'`);
  return from[key] as T;
}

/**
 * A Python runner as its coordinator sees it: polls one at a time, fails on a missing key, reports once without a
 * retry, and leaves after three failures in a row. That of the second generation cannot resume a session of a one-shot
 * executor.
 */
export class PythonRunner implements AsyncDisposable {
  readonly #url: string;
  readonly #generation: Generation;
  readonly #execute: Execute;
  readonly #ended = new AbortController();
  readonly #runnerId: string;
  readonly #executing = new Set<Promise<void>>();
  readonly #loop: Promise<void>;
  readonly #heartbeat: Timer;
  /** What the runner would have logged as an error. */
  readonly faults: string[] = [];

  private constructor(url: string, generation: Generation, runnerId: string, execute: Execute) {
    this.#url = url;
    this.#generation = generation;
    this.#runnerId = runnerId;
    this.#execute = execute;
    this.#heartbeat = setInterval(() => void this.#post("/runner/heartbeat", {}).catch(() => {}), HEARTBEAT_MS);
    this.#loop = this.#poll();
  }

  static async start(url: string, generation: Generation, execute: Execute): Promise<PythonRunner> {
    const { status, body } = await call(url, "/runner/register", registrationOf(generation));
    if (status !== 200) throw new Error(`register: ${status} ${JSON.stringify(body)}`);
    return new PythonRunner(url, generation, required(body, "runner_id"), execute);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#heartbeat);
    this.#ended.abort();
    await fetch(`${this.#url}/runners/${this.#runnerId}`, { method: "DELETE" }).catch(() => {});
    await this.#loop;
    await Promise.all(this.#executing);
  }

  async #poll(): Promise<void> {
    let failures = 0;
    while (!this.#ended.signal.aborted && failures < FAILURES_TO_LEAVE) {
      try {
        const { status, body } = await call(this.#url, `/runner/runs?runner_id=${this.#runnerId}`);
        if (status !== 200 && status !== 204) throw new Error(`poll: ${status}`);
        if (body["deregistered"] === true) return;
        if ("run" in body) this.#take(required(body, "run"));
        failures = 0;
      } catch (error) {
        if (this.#ended.signal.aborted) return;
        failures++;
        this.faults.push(String(error));
      }
    }
  }

  #take(run: Json): void {
    for (const key of KEYS[this.#generation]) required(run, key);
    const executing = this.#run(run).catch((error: unknown) => void this.faults.push(String(error)));
    this.#executing.add(executing);
    void executing.then(() => this.#executing.delete(executing));
  }

  async #run(run: Json): Promise<void> {
    const runId = required<string>(run, "run_id");
    if (this.#generation === "second" && run["type"] === "resume_session") {
      await this.#report(runId, "failed", {
        error: `No live executor process for session ${String(run["session_id"])}`,
      });
      return;
    }
    const env = {
      AGENT_ORCHESTRATOR_API_URL: this.#url,
      AGENT_SESSION_ID: required<string>(run, "session_id"),
      AGENT_RUN_ID: runId,
    };
    const stdin = JSON.stringify(await this.#invocationOf(run));
    const exit = this.#execute({ runId, stdin, env });
    await this.#report(runId, "started", {});
    const code = await exit;
    if (code !== 0) return this.#report(runId, "failed", { error: `Process exited with code ${code}` });
    const more = this.#generation === "second" ? { session_status: "finished" } : {};
    return this.#report(runId, "completed", { status: "success", ...more });
  }

  async #invocationOf(run: Json): Promise<object> {
    const isStart = run["type"] === "start_session";
    const folder = isStart && run["project_dir"] !== null ? { project_dir: run["project_dir"] } : {};
    const common = { mode: isStart ? "start" : "resume", session_id: run["session_id"], ...folder };
    const agent = run["agent_name"];
    if (this.#generation === "first") {
      const blueprint =
        agent === null ? {} : { agent_blueprint: (await call(this.#url, `/agents/${String(agent)}`)).body };
      return { schema_version: "2.0", ...common, prompt: run["prompt"], ...blueprint };
    }
    const blueprint = run["resolved_agent_blueprint"];
    return {
      schema_version: "2.2",
      ...common,
      parameters: run["parameters"],
      ...(agent === null ? {} : { agent_name: agent }),
      ...(blueprint === null ? {} : { agent_blueprint: blueprint }),
    };
  }

  async #report(runId: string, verb: string, more: object): Promise<void> {
    const { status } = await this.#post(`/runner/runs/${runId}/${verb}`, more);
    if (status !== 200) throw new Error(`${verb} of ${runId}: ${status}`);
  }

  #post(path: string, more: object): Promise<{ status: number }> {
    return call(this.#url, path, { runner_id: this.#runnerId, ...more });
  }
}
