import type { AssignedRun } from "../../src/protocol/poll.ts";

/** A run from a poll of the first generation. */
export function assignedRun(more: Partial<AssignedRun> = {}): AssignedRun {
  return {
    runId: "run_1",
    sessionId: "ses_1",
    type: "start_session",
    agentName: null,
    prompt: "do it",
    parameters: { prompt: "do it" },
    projectDir: null,
    parentSessionId: null,
    resolvedBlueprint: undefined,
    generation: "first",
    ...more,
  };
}
