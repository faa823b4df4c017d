/** An agent that calls the orchestration tools (src/mcp/), with its identity and permissions. */
export interface Caller {
  /** The agent's run; null for an agent outside of all runs. */
  readonly runId: string | null;
  /** The agent's session, which becomes the parent of the sessions it starts. Null if the agent names no session. */
  readonly sessionId: string | null;
  /** Fires when the agent loses its permissions. */
  readonly ended: AbortSignal;
  /**
   * Sends a request to the coordinator's API with this agent's permissions (`access.ts`). `path` includes the query.
   */
  readonly call: (method: "GET" | "POST" | "DELETE", path: string, body?: object) => Promise<Response>;
}

/** Serves the orchestration tools to an agent. */
export type ServeTools = (request: Request, caller: Caller) => Promise<Response>;
