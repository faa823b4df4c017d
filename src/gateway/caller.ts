/** An agent as the orchestration tools see it (src/mcp/): who it is, and what it may ask. */
export interface Caller {
  /** The run that it belongs to; null for an agent outside of all runs. */
  readonly runId: string | null;
  /** Its session: the parent of what it starts. Null for one that has not said any. */
  readonly sessionId: string | null;
  /** Fires when it may ask nothing any more. */
  readonly ended: AbortSignal;
  /** One request to the coordinator's API, answered as it is to this agent (`access.ts`). `path` with its query. */
  readonly call: (method: "GET" | "POST" | "DELETE", path: string, body?: object) => Promise<Response>;
}

/** Serves the orchestration tools to an agent. */
export type ServeTools = (request: Request, caller: Caller) => Promise<Response>;
