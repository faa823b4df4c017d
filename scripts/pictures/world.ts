import { Database } from "bun:sqlite";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
interface Task {
  readonly prompt: string;
  readonly agent: string;
  /** Both are times before the picture, in ms. Without `endedMs` the run is running. */
  readonly startedMs: number;
  readonly endedMs?: number;
  readonly error?: string;
  readonly costUsd: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** The last tool call of a running run. */
  readonly lastTool?: { readonly name: string; readonly agoMs: number; readonly hasEnded: boolean };
  readonly children?: readonly Task[];
}

const AGENTS = {
  orchestrator: "Divides a task among other agents and combines their results",
  benchmarker: "Measures programs and reports the figures",
  researcher: "Finds sources and summarises them",
  developer: "Changes code and runs its tests",
} as const;

/** The root sessions, oldest first: the dashboard lists the newest first. */
const TASKS: readonly Task[] = [
  {
    prompt: "Summarise the error reports of last night",
    agent: "researcher",
    startedMs: 52.4 * MINUTE,
    endedMs: 46.1 * MINUTE,
    costUsd: 0.33,
    inputTokens: 148_000,
    outputTokens: 5_200,
  },
  {
    prompt: "Apply the pending database migrations to staging",
    agent: "developer",
    startedMs: 24.3 * MINUTE,
    endedMs: 21.6 * MINUTE,
    error: 'Migration 0042 failed: column "owner_id" of relation "invoices" already exists',
    costUsd: 0.27,
    inputTokens: 91_300,
    outputTokens: 4_700,
  },
  {
    prompt: "Compare SQLite and DuckDB for 50 GB of logs",
    agent: "orchestrator",
    startedMs: 14.1 * MINUTE,
    costUsd: 0.58,
    inputTokens: 203_000,
    outputTokens: 9_600,
    lastTool: { name: "Write", agoMs: 48 * SECOND, hasEnded: true },
    children: [
      {
        prompt: "Collect published benchmarks of SQLite and DuckDB, with sources",
        agent: "researcher",
        startedMs: 13.6 * MINUTE,
        endedMs: 9.4 * MINUTE,
        costUsd: 0.38,
        inputTokens: 166_000,
        outputTokens: 7_100,
      },
      {
        prompt: "Load the logs into SQLite and time the ten slowest queries",
        agent: "benchmarker",
        startedMs: 13.5 * MINUTE,
        costUsd: 0.84,
        inputTokens: 312_000,
        outputTokens: 14_800,
        lastTool: { name: "Bash", agoMs: 21 * SECOND, hasEnded: false },
      },
      {
        prompt: "Load the logs into DuckDB and time the ten slowest queries",
        agent: "benchmarker",
        startedMs: 13.4 * MINUTE,
        costUsd: 0.71,
        inputTokens: 268_000,
        outputTokens: 12_900,
        lastTool: { name: "Bash", agoMs: 3 * SECOND, hasEnded: true },
      },
    ],
  },
];

/** The root session whose descendants the picture shows. */
export const SHOWN_TREE = "Compare SQLite and DuckDB for 50 GB of logs";

interface Placed {
  readonly runId: string;
  readonly sessionId: string;
  readonly task: Task;
}

/** The runs of the picture at a real coordinator. The script acts as client, runner and executor. */
export class PictureWorld {
  readonly #placed: Placed[] = [];
  #url = "";
  #runnerId = "";

  async create(url: string): Promise<void> {
    this.#url = url;
    for (const [name, description] of Object.entries(AGENTS))
      await this.#post("/agents", { name, description, system_prompt: description });
    this.#runnerId = await this.#register("build-02", "/srv/app");
    for (const task of TASKS) await this.#place(task, null);
    await this.#register("build-01", "/srv/logs");
  }

  /** Moves every run to its time. The coordinator must be stopped: it holds a lock on its database. */
  backdate(databasePath: string): void {
    using db = new Database(databasePath, { strict: true });
    for (const { runId, sessionId, task } of this.#placed) {
      const { startedMs, endedMs } = task;
      const started = before(startedMs);
      db.query(
        "UPDATE runs SET created_at = $created, claimed_at = $created, started_at = $started, completed_at = $ended" +
          " WHERE run_id = $runId",
      ).run({
        runId,
        created: before(startedMs + SECOND),
        started,
        ended: endedMs === undefined ? null : before(endedMs),
      });
      db.query("UPDATE sessions SET created_at = $started, run_ms = $runMs WHERE session_id = $sessionId").run({
        sessionId,
        started,
        runMs: endedMs === undefined ? 0 : Math.round(startedMs - endedMs),
      });
    }
  }

  async #place(task: Task, parentSessionId: string | null): Promise<void> {
    await this.#post("/runs", {
      type: "start_session",
      prompt: task.prompt,
      agent_name: task.agent,
      parent_session_id: parentSessionId,
      execution_mode: parentSessionId === null ? "sync" : "async_poll",
    });
    const { run } = (await this.#call("GET", `/runner/runs?runner_id=${this.#runnerId}`)) as {
      run: { run_id: string; session_id: string };
    };
    const { run_id: runId, session_id: sessionId } = run;
    this.#placed.push({ runId, sessionId, task });
    await this.#post(`/runner/runs/${runId}/started`, { runner_id: this.#runnerId });
    await this.#post(`/sessions/${sessionId}/bind`, { executor_session_id: crypto.randomUUID() });
    await this.#events(sessionId, task);
    for (const child of task.children ?? []) await this.#place(child, sessionId);
    const report = { runner_id: this.#runnerId };
    if (task.error !== undefined) await this.#post(`/runner/runs/${runId}/failed`, { ...report, error: task.error });
    else if (task.endedMs !== undefined) await this.#post(`/runner/runs/${runId}/completed`, report);
  }

  async #events(sessionId: string, task: Task): Promise<void> {
    const { lastTool, endedMs, error, costUsd, inputTokens, outputTokens } = task;
    const send = (agoMs: number, event: object): Promise<unknown> =>
      this.#post(`/sessions/${sessionId}/events`, { session_id: sessionId, timestamp: before(agoMs), ...event });
    const usage = { input_tokens: inputTokens, output_tokens: outputTokens };
    await send(task.startedMs, { event_type: "usage", total_cost_usd: costUsd, usage });
    if (lastTool !== undefined) {
      const { name, agoMs, hasEnded } = lastTool;
      await send(agoMs, { event_type: hasEnded ? "post_tool" : "pre_tool", tool_name: name });
    }
    if (endedMs === undefined) return;
    await send(endedMs, { event_type: "message", role: "assistant", content: [{ type: "text", text: "Done." }] });
    if (error === undefined) await send(endedMs, { event_type: "session_stop", exit_code: 0, reason: "completed" });
  }

  async #register(hostname: string, projectDir: string): Promise<string> {
    const body = { hostname, project_dir: projectDir, executor_type: "claude-code" };
    return ((await this.#post("/runner/register", body)) as { runner_id: string }).runner_id;
  }

  #post(path: string, body: object): Promise<unknown> {
    return this.#call("POST", path, body);
  }

  async #call(method: string, path: string, body?: object): Promise<unknown> {
    const response = await fetch(this.#url + path, { method, ...(body && { body: JSON.stringify(body) }) });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }
}

function before(ms: number): string {
  return new Date(Date.now() - ms).toISOString();
}
