import { join } from "node:path";
import { type Coordinator, type CoordinatorOptions, startCoordinator } from "../../src/coordinator/coordinator.ts";
import type { CallbackTiming } from "../../src/coordinator/runs/callbacks.ts";
import type { CoordinatorTimings } from "../../src/coordinator/store/timings.ts";
import { INSTANCE_HEADER } from "../../src/protocol/runner.ts";
import { silentLog } from "../../src/log.ts";
import { databaseForFixture, type TestDatabase } from "../harness/postgres.ts";
import { tempFolder } from "../harness/temp-folder.ts";
import { TWICE, twiceStore } from "./twice-store.ts";

export interface Answer {
  readonly status: number;
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any;
}

export interface CallOptions {
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

/** A coordinator for one test, with one function per verb of its API. */
export class Fixture implements AsyncDisposable {
  readonly databasePath: string;
  /** Undefined with SQLite. */
  readonly database: TestDatabase | undefined;
  coordinator: Coordinator;
  readonly #folder: ReturnType<typeof tempFolder>;
  readonly #timings: Partial<CoordinatorTimings>;
  /** By runner: its calls carry what it registered with. */
  readonly #instances = new Map<string, string>();

  private constructor(
    folder: ReturnType<typeof tempFolder>,
    timings: Partial<CoordinatorTimings>,
    coordinator: Coordinator,
    database: TestDatabase | undefined,
  ) {
    this.database = database;
    this.#folder = folder;
    this.#timings = timings;
    this.databasePath = join(folder.path, "coordinator.db");
    this.coordinator = coordinator;
  }

  /** `prepare` may write the database before the coordinator opens it. */
  static async start(
    timings: Partial<CoordinatorTimings> = {},
    callbacks: CallbackTiming = "together",
    prepare?: (databasePath: string) => void,
  ): Promise<Fixture> {
    const folder = tempFolder();
    const databasePath = join(folder.path, "coordinator.db");
    prepare?.(databasePath);
    const database = await databaseForFixture();
    const coordinator = await startCoordinator({
      host: "127.0.0.1",
      port: 0,
      databasePath,
      ...(database === undefined ? {} : { databaseUrl: database.url }),
      log: silentLog,
      timings,
      callbacks,
      ...storeOfTests(),
    });
    return new Fixture(folder, timings, coordinator, database);
  }

  /** Closes the coordinator and starts another on the same database. `meanwhile` runs in between. */
  async restart(options: Partial<CoordinatorOptions> = {}, meanwhile?: () => void): Promise<void> {
    await this.coordinator.close();
    meanwhile?.();
    const { databasePath, database } = this;
    this.coordinator = await startCoordinator({
      host: "127.0.0.1",
      port: 0,
      databasePath,
      ...(database === undefined ? {} : { databaseUrl: database.url }),
      log: silentLog,
      timings: this.#timings,
      ...storeOfTests(),
      ...options,
    });
  }

  async call(method: string, path: string, body?: unknown, options: CallOptions = {}): Promise<Answer> {
    const response = await fetch(this.coordinator.url + path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...options,
    });
    const text = await response.text();
    return { status: response.status, body: text === "" ? null : JSON.parse(text) };
  }

  get(path: string): Promise<Answer> {
    return this.call("GET", path);
  }

  post(path: string, body?: unknown): Promise<Answer> {
    return this.call("POST", path, body);
  }

  /** The header with the instance that the runner registered; empty for a runner without one. */
  instanceHeader(runnerId: string): Record<string, string> {
    const instanceId = this.#instances.get(runnerId);
    return instanceId === undefined ? {} : { [INSTANCE_HEADER]: instanceId };
  }

  /** Registers a runner and returns its id. */
  async register(fields: Record<string, unknown> = {}): Promise<string> {
    const answer = await this.post("/runner/register", {
      hostname: "host",
      project_dir: "/work",
      executor_type: "test-executor",
      ...fields,
    });
    if (answer.status !== 200) throw new Error(`register: ${JSON.stringify(answer)}`);
    const runnerId: string = answer.body.runner_id;
    const instanceId = fields["instance_id"];
    if (typeof instanceId === "string") this.#instances.set(runnerId, instanceId);
    else this.#instances.delete(runnerId);
    return runnerId;
  }

  poll(runnerId: string, more = "", signal?: AbortSignal): Promise<Answer> {
    const headers = this.instanceHeader(runnerId);
    return this.call("GET", `/runner/runs?runner_id=${runnerId}${more}`, undefined, {
      headers,
      ...(signal ? { signal } : {}),
    });
  }

  /** Starts a new session and returns the ids of the run and the session. */
  async start(fields: Record<string, unknown> = {}): Promise<{ run_id: string; session_id: string }> {
    return this.createRun({ type: "start_session", ...fields });
  }

  async resume(
    sessionId: string,
    fields: Record<string, unknown> = {},
  ): Promise<{ run_id: string; session_id: string }> {
    return this.createRun({ type: "resume_session", session_id: sessionId, ...fields });
  }

  /** Polls and returns the claimed run. */
  // oxlint-disable-next-line typescript/no-explicit-any
  async claim(runnerId: string): Promise<any> {
    const answer = await this.poll(runnerId);
    if (!answer.body?.run) throw new Error(`no run came: ${JSON.stringify(answer)}`);
    return answer.body.run;
  }

  report(runId: string, what: string, runnerId: string, fields: Record<string, unknown> = {}): Promise<Answer> {
    const more = what === "failed" ? { error: "it broke" } : {};
    const body = { runner_id: runnerId, ...more, ...fields };
    return this.call("POST", `/runner/runs/${runId}/${what}`, body, { headers: this.instanceHeader(runnerId) });
  }

  /** Claims the next run and reports it to its end, after a message with `result`. */
  // oxlint-disable-next-line typescript/no-explicit-any
  async execute(runnerId: string, ending: "completed" | "failed" | "stopped", result?: string): Promise<any> {
    const run = await this.claim(runnerId);
    await this.report(run.run_id, "started", runnerId);
    if (result !== undefined) await this.say(run.session_id, result);
    const answer = await this.report(run.run_id, ending, runnerId);
    if (answer.status !== 200) throw new Error(`${ending}: ${JSON.stringify(answer)}`);
    return run;
  }

  say(sessionId: string, text: string): Promise<Answer> {
    const content = [{ type: "text", text }];
    return this.post(`/sessions/${sessionId}/events`, {
      event_type: "message",
      session_id: sessionId,
      role: "assistant",
      content,
    });
  }

  async runStatus(runId: string): Promise<string> {
    return (await this.get(`/runs/${runId}`)).body.status;
  }

  async sessionStatus(sessionId: string): Promise<string> {
    return (await this.get(`/sessions/${sessionId}/status`)).body.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.coordinator.close();
    await this.database?.[Symbol.asyncDispose]();
    this.#folder[Symbol.dispose]();
  }

  private async createRun(fields: Record<string, unknown>): Promise<{ run_id: string; session_id: string }> {
    const answer = await this.post("/runs", { prompt: "do it", ...fields });
    if (answer.status !== 200) throw new Error(`POST /runs: ${JSON.stringify(answer)}`);
    return answer.body;
  }
}

function storeOfTests(): Pick<CoordinatorOptions, "wrapStore"> {
  return process.env[TWICE] === undefined ? {} : { wrapStore: twiceStore };
}
