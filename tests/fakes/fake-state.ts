import { type Answer, detail, json } from "./answers.ts";
import { FakeRunners } from "./fake-runners.ts";
import { FakeCallbacks } from "./fake-callbacks.ts";
import { executeHook, type FakeHook } from "./fake-hooks.ts";
import { type FakeDemands, type FakeRun, type FakeSession, fakeRun, type QueuedRun, wireRun } from "./fake-runs.ts";

type Body = Readonly<Record<string, unknown>>;

const TICK_MS = 10;
const STATUS_OF_VERB: Readonly<Record<string, string>> = {
  started: "running",
  completed: "completed",
  failed: "failed",
  stopped: "stopped",
};

/**
 * The state and behaviour of a Python coordinator. It checks no transitions, and continues a poll after the client
 * disconnects.
 */
export class FakeState extends FakeRunners {
  readonly runs = new Map<string, FakeRun>();
  readonly sessions = new Map<string, FakeSession>();
  readonly agents = new Map<string, object>();
  /** The second generation's registry of MCP servers. */
  readonly mcpServers = new Map<string, object>();
  /** The hooks `on_run_start` of agents, by name. */
  readonly hooks = new Map<string, FakeHook>();
  readonly stops: string[] = [];
  /** Messages outside the protocol, each sent in one answer to a poll. */
  readonly messages: object[] = [];

  isLocked = false;
  readonly #callbacks = new FakeCallbacks(this.sessions, (run) => this.queue(run));

  queue(queued: QueuedRun = {}): FakeRun {
    const run = fakeRun(queued);
    this.runs.set(run.run_id, run);
    if (!this.sessions.has(run.session_id)) this.#addSession(run);
    return run;
  }

  #addSession({ session_id, agent_name, project_dir, parent_session_id, execution_mode }: FakeRun): void {
    this.sessions.set(session_id, {
      session_id,
      status: "pending",
      agent_name,
      project_dir,
      parent_session_id,
      execution_mode,
      bound: null,
      events: [],
    });
  }

  /** Does what `POST /runs/{id}/stop` does. */
  stop(run: FakeRun): void {
    run.status = "stopping";
    this.stops.push(run.run_id);
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
    const run = [...this.runs.values()].find(
      (each) => each.status === "pending" && this.matches(each, this.sessions.get(each.session_id), runner),
    );
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
    this.#reported(run, verb, body);
    return json(200, { ok: true });
  }

  /** What a report does to the session and its parent: section 5. */
  #reported(run: FakeRun, verb: string, body: Body): void {
    const session = this.sessions.get(run.session_id);
    if (session === undefined || verb === "started") return;
    if (verb === "completed") {
      // In the first generation, only the event `session_stop` ends a session.
      if (this.generation === "first") return;
      session.status = String(body["session_status"] ?? "finished");
      this.#finished(session);
      return;
    }
    if (verb === "stopped") session.status = "stopped";
    else if (this.generation === "second") session.status = "failed";
    this.#callbacks.childEnded(
      session,
      "failed",
      verb === "stopped" ? "Session was manually stopped" : (run.error ?? ""),
    );
  }

  #finished(session: FakeSession): void {
    this.#callbacks.childEnded(session, "completed", this.#resultText(session));
    this.#callbacks.sessionFinished(session.session_id);
  }

  #resultText({ events }: FakeSession): string {
    if (this.generation === "second")
      return String(events.findLast(({ event_type }) => event_type === "result")?.["result_text"] ?? "");
    const last = events.findLast(({ event_type, role }) => event_type === "message" && role === "assistant");
    const [block] = (last?.["content"] ?? []) as { text: string }[];
    return block?.text ?? "";
  }

  bind(sessionId: string, body: Body): Answer {
    const session = this.sessions.get(sessionId);
    if (session !== undefined) Object.assign(session, { status: "running", bound: boundOf(body) });
    return this.showSession(sessionId);
  }

  createRun(body: Body): Answer {
    const {
      parent_session_id: parent,
      parameters,
      agent_name,
      additional_demands = null,
    } = body as {
      parent_session_id?: string | null;
      parameters?: { prompt?: string };
      agent_name?: string;
      additional_demands?: FakeDemands | null;
    };
    if (this.isLocked) return detail(500, "database is locked");
    const { type, session_id } = body;
    if (type === "start_session" && this.sessions.has(String(session_id))) return detail(409, "Session already exists");
    // The known fault (`docs/protocol.md`, section 0): the database stays write-locked for good.
    this.isLocked = parent != null && !this.sessions.has(parent);
    if (this.isLocked) return detail(500, "FOREIGN KEY constraint failed");
    if (this.generation === "second" && typeof parameters?.prompt !== "string")
      return detail(400, { error: "parameter_validation_failed" });
    const run = this.queue({
      ...(body as QueuedRun),
      ...(this.generation === "second" ? { prompt: parameters?.prompt ?? "" } : {}),
      demands: additional_demands,
      extra:
        this.generation === "second" ? { resolved_agent_blueprint: this.agents.get(agent_name ?? "") ?? null } : {},
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
    if (this.generation === "first" && event["event_type"] === "session_stop") {
      session.status = "finished";
      this.#finished(session);
    }
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

function boundOf({ hostname, executor_profile }: Body): FakeSession["bound"] {
  return {
    ...(typeof hostname === "string" ? { hostname } : {}),
    ...(typeof executor_profile === "string" ? { executor_profile } : {}),
  };
}
