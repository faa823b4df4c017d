import { createHash } from "node:crypto";
import type { Generation } from "../../src/protocol/poll.ts";
import { type Answer, detail, json } from "./answers.ts";
import { executeHook, type FakeHook } from "./fake-hooks.ts";
import { type FakeRun, type FakeSession, fakeRun, type QueuedRun, wireRun } from "./fake-runs.ts";

type Body = Readonly<Record<string, unknown>>;

const TICK_MS = 10;
const STATUS_OF_VERB: Readonly<Record<string, string>> = {
  started: "running",
  completed: "completed",
  failed: "failed",
  stopped: "stopped",
};

export interface FakeTimings {
  readonly pollTimeoutSeconds: number;
  readonly heartbeatIntervalSeconds: number;
}

/** A stale runner gets no runs until it registers again. */
interface FakeRunner {
  deregistered: boolean;
  stale: boolean;
}

/**
 * The state and behaviour of a Python coordinator. It checks no transitions, and continues a poll after the client
 * disconnects.
 */
export class FakeState {
  readonly runs = new Map<string, FakeRun>();
  readonly sessions = new Map<string, FakeSession>();
  readonly agents = new Map<string, object>();
  /** The second generation's registry of MCP servers. */
  readonly mcpServers = new Map<string, object>();
  /** The hooks `on_run_start` of agents, by name. */
  readonly hooks = new Map<string, FakeHook>();
  readonly runners = new Map<string, FakeRunner>();
  readonly stops: string[] = [];
  /** Messages outside the protocol, each sent in one answer to a poll. */
  readonly messages: object[] = [];

  isLocked = false;

  constructor(
    readonly generation: Generation,
    readonly timings: FakeTimings,
  ) {}

  queue(queued: QueuedRun = {}): FakeRun {
    const run = fakeRun(queued);
    this.runs.set(run.run_id, run);
    if (!this.sessions.has(run.session_id)) this.#addSession(run);
    return run;
  }

  #addSession({ session_id, agent_name, project_dir, parent_session_id }: FakeRun): void {
    this.sessions.set(session_id, {
      session_id,
      status: "pending",
      agent_name,
      project_dir,
      parent_session_id,
      events: [],
    });
  }

  /** Does what `POST /runs/{id}/stop` does. */
  stop(run: FakeRun): void {
    run.status = "stopping";
    this.stops.push(run.run_id);
  }

  register(body: Body): Answer {
    const { hostname, project_dir, executor_type, executor_profile } = body;
    const parts =
      this.generation === "first"
        ? [hostname, project_dir, executor_type]
        : [hostname, project_dir, executor_profile, ""];
    const runner_id = `lnch_${createHash("sha256").update(parts.join(":")).digest("hex").slice(0, 12)}`;
    if (this.runners.get(runner_id)?.stale === false) {
      return detail(409, {
        error: "duplicate_runner",
        message: "Runner is already online",
        runner_id,
        hostname,
        project_dir,
        executor_type,
      });
    }
    this.runners.set(runner_id, { deregistered: false, stale: false });
    const { pollTimeoutSeconds, heartbeatIntervalSeconds } = this.timings;
    return json(200, {
      runner_id,
      poll_endpoint: "/runner/runs",
      poll_timeout_seconds: pollTimeoutSeconds,
      heartbeat_interval_seconds: heartbeatIntervalSeconds,
    });
  }

  /** Does what the clean-up does after too long without a heartbeat. */
  markStale(): void {
    for (const runner of this.runners.values()) runner.stale = true;
  }

  async poll(runnerId: string): Promise<Answer> {
    let leftMs = this.timings.pollTimeoutSeconds * 1000;
    while (leftMs > 0) {
      const answer = await this.#answerTo(runnerId);
      if (answer !== null) return answer;
      const startMs = performance.now();
      await Bun.sleep(TICK_MS);
      // The time that a hook takes does not count.
      leftMs -= performance.now() - startMs;
    }
    return json(204, null);
  }

  #answerTo(runnerId: string): Answer | null | Promise<Answer | null> {
    const runner = this.runners.get(runnerId);
    if (runner === undefined) return detail(401, "Runner not registered");
    if (runner.stale) return null;
    const message = this.messages.shift();
    if (message !== undefined) return json(200, message);
    const stops = this.stops.splice(0);
    if (stops.length > 0)
      return json(
        200,
        this.generation === "first"
          ? { stop_runs: stops }
          : { stop_sessions: stops.map((id) => this.runs.get(id)?.session_id) },
      );
    if (runner.deregistered) {
      this.runners.delete(runnerId);
      return json(200, { deregistered: true });
    }
    const run = [...this.runs.values()].find(({ status }) => status === "pending");
    if (run === undefined) return null;
    const claimed = this.claim(run, runnerId);
    const hook = this.hooks.get(run.agent_name ?? "");
    return hook === undefined ? json(200, { run: claimed }) : this.#afterHook(run, hook);
  }

  async #afterHook(run: FakeRun, hook: FakeHook): Promise<Answer | null> {
    const mayContinue = await executeHook(run, hook, (event) => this.addEvent(run.session_id, event));
    return mayContinue ? json(200, { run: wireRun(run, this.generation, true) }) : null;
  }

  claim(run: FakeRun, runnerId: string): object {
    run.status = "claimed";
    run.runner_id = runnerId;
    run.claimed_at = new Date().toISOString();
    return wireRun(run, this.generation, true);
  }

  report(runId: string, verb: string, body: Body): Answer {
    if (!this.runners.has(String(body["runner_id"]))) return detail(401, "Runner not registered");
    const run = this.runs.get(runId);
    if (run === undefined) return detail(404, "Run not found");
    if (verb === "failed" && typeof body["error"] !== "string") return detail(422, "error missing");
    run.status = STATUS_OF_VERB[verb] ?? run.status;
    if (verb === "failed") run.error = String(body["error"]);
    return json(200, { ok: true });
  }

  heartbeat(body: Body): Answer {
    return this.runners.has(String(body["runner_id"])) ? json(200, { ok: true }) : detail(401, "Runner not registered");
  }

  deregister(runnerId: string, self: boolean): Answer {
    const runner = this.runners.get(runnerId);
    if (runner === undefined) return detail(404, "Runner not found");
    if (self) this.runners.delete(runnerId);
    else runner.deregistered = true;
    return json(200, {
      ok: true,
      message: self ? "Runner deregistered" : "Runner marked for deregistration",
      initiated_by: self ? "self" : "external",
    });
  }

  createRun(body: Body): Answer {
    const { parent_session_id: parent, parameters } = body as {
      parent_session_id?: string | null;
      parameters?: { prompt?: string };
    };
    if (this.isLocked) return detail(500, "database is locked");
    // The known fault (`docs/protocol.md`, section 0): the database stays write-locked for good.
    this.isLocked = parent != null && !this.sessions.has(parent);
    if (this.isLocked) return detail(500, "FOREIGN KEY constraint failed");
    if (this.generation === "second" && typeof parameters?.prompt !== "string")
      return detail(400, { error: "parameter_validation_failed" });
    const run = this.queue({
      ...(body as QueuedRun),
      ...(this.generation === "second" ? { prompt: parameters?.prompt ?? "" } : {}),
      extra: {},
    });
    return json(this.generation === "first" ? 200 : 201, {
      run_id: run.run_id,
      session_id: run.session_id,
      status: "pending",
    });
  }

  showRuns(): Answer {
    return json(200, { runs: [...this.runs.values()].map((run) => wireRun(run, this.generation, false)) });
  }

  showRun(runId: string): Answer {
    const run = this.runs.get(runId);
    return run === undefined ? detail(404, "Run not found") : json(200, wireRun(run, this.generation, false));
  }

  addEvent(sessionId: string, event: Body): Answer {
    const session = this.sessions.get(sessionId);
    if (session === undefined) return detail(404, "Session not found");
    session.events.push(event);
    if (this.generation === "first" && event["event_type"] === "session_stop") session.status = "finished";
    return json(this.generation === "first" ? 200 : 201, { ok: true });
  }

  /** The result is the last assistant message in the first generation, and the last `result` event in the second. */
  result(sessionId: string): Answer {
    const session = this.sessions.get(sessionId);
    if (session === undefined) return detail(404, "Session not found");
    const isFinished = session.status === "finished" || (this.generation === "second" && session.status === "idle");
    if (!isFinished) return detail(400, `Session is not finished. Current status: ${session.status}`);
    if (this.generation === "first") {
      const last = session.events.findLast(({ event_type, role }) => event_type === "message" && role === "assistant");
      const [block] = (last?.["content"] ?? []) as { text: string }[];
      return block === undefined ? detail(404, "No result found") : json(200, { result: block.text });
    }
    const last = session.events.findLast(({ event_type }) => event_type === "result");
    if (last === undefined) return detail(404, "No result found");
    return json(200, { result_text: last["result_text"] ?? null, result_data: last["result_data"] ?? null });
  }

  /** An executing run keeps going until its runner ends it. */
  stopSession(sessionId: string): Answer {
    const run = [...this.runs.values()].findLast(
      ({ session_id, status }) => session_id === sessionId && ["pending", "claimed", "running"].includes(status),
    );
    const session = this.sessions.get(sessionId);
    if (run === undefined || session === undefined) return detail(400, "No run that can be stopped");
    if (run.status === "pending") run.status = session.status = "stopped";
    else {
      session.status = "stopping";
      this.stop(run);
    }
    return json(200, { ok: true, run_id: run.run_id, session_id: sessionId, status: run.status });
  }

  /** The second generation refuses to delete a busy session; the first deletes in any state. */
  deleteSession(sessionId: string): Answer {
    const session = this.sessions.get(sessionId);
    if (session === undefined) return detail(404, "Session not found");
    const isBusy = ["running", "idle", "stopping"].includes(session.status);
    if (this.generation === "second" && isBusy) return detail(409, "Session is running. Stop session first");
    this.sessions.delete(sessionId);
    return json(200, { ok: true, session_id: sessionId, deleted: true });
  }

  showSession(sessionId: string): Answer {
    const session = this.sessions.get(sessionId);
    return session === undefined ? detail(404, "Session not found") : json(200, { session });
  }
}
