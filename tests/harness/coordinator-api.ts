import { until } from "./until.ts";

/** An event of a session, with the fields that tests read. */
export interface ShownEvent {
  readonly event_type: string;
  readonly role?: string;
  readonly content?: { text: string }[];
  readonly tool_name?: string;
  readonly tool_input?: object;
  readonly tool_output?: unknown;
  readonly error?: string;
  readonly exit_code?: number;
  readonly reason?: string;
}

export interface ShownRun {
  readonly status: string;
  readonly error: string | null;
  readonly session_id: string;
  readonly type: string;
  readonly reason: string | null;
  readonly retried_by: string | null;
  readonly note: string | null;
}

export interface ListedRun {
  readonly run_id: string;
  readonly status: string;
  readonly session_id: string;
  readonly parent_session_id: string | null;
  readonly type: string;
  readonly prompt: string;
}

/** The calls that tests make to a real coordinator. */
export class CoordinatorApi {
  constructor(readonly url: string) {}

  /** Creates a run, in a new session unless `more` sets another type. */
  async submit(
    prompt: string,
    more: Readonly<Record<string, unknown>> = {},
  ): Promise<{ run_id: string; session_id: string }> {
    const body = { type: "start_session", prompt, ...more };
    return (await this.#json("/runs", {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json" },
    })) as {
      run_id: string;
      session_id: string;
    };
  }

  async run(runId: string): Promise<ShownRun> {
    return (await this.#json(`/runs/${runId}`)) as ShownRun;
  }

  /** Every run of the coordinator. In a world that several tests share, ask for those of a session instead. */
  async runs(): Promise<ListedRun[]> {
    return ((await this.#json("/runs")) as { runs: ListedRun[] }).runs;
  }

  async runsOf(sessionId: string): Promise<ListedRun[]> {
    return (await this.runs()).filter(({ session_id }) => session_id === sessionId);
  }

  /** The runs whose sessions are children of the session. */
  async childrenOf(sessionId: string): Promise<ListedRun[]> {
    return (await this.runs()).filter(({ parent_session_id }) => parent_session_id === sessionId);
  }

  async stop(runId: string): Promise<void> {
    await this.#json(`/runs/${runId}/stop`, { method: "POST" });
  }

  async result(sessionId: string): Promise<string> {
    return ((await this.#json(`/sessions/${sessionId}/result`)) as { result: string }).result;
  }

  async events(sessionId: string): Promise<ShownEvent[]> {
    return ((await this.#json(`/sessions/${sessionId}/events`)) as { events: ShownEvent[] }).events;
  }

  async session(
    sessionId: string,
  ): Promise<{ status: string; executor_session_id: string | null; parent_session_id: string | null }> {
    const { session } = (await this.#json(`/sessions/${sessionId}`)) as {
      session: { status: string; executor_session_id: string | null; parent_session_id: string | null };
    };
    return session;
  }

  async createAgent(agent: object): Promise<void> {
    await this.#json("/agents", {
      method: "POST",
      body: JSON.stringify(agent),
      headers: { "content-type": "application/json" },
    });
  }

  /** Waits until the run has this status. */
  async reached(runId: string, status: string, deadlineMs?: number): Promise<void> {
    let last = "";
    await until(
      () => `run ${runId} ${status}; it is ${last}`,
      async () => (last = (await this.run(runId)).status) === status,
      deadlineMs,
    );
  }

  async #json(path: string, init?: RequestInit): Promise<unknown> {
    const response = await fetch(this.url + path, { ...init, keepalive: false });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }
}
