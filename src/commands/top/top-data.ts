import type { CoordinatorClient } from "../../client/coordinator-client.ts";
import { isTerminal, type Run } from "../../protocol/run.ts";
import type { RunnerInfo } from "../../protocol/runner.ts";
import type { Session } from "../../protocol/session.ts";

/** The data of `top` at one moment. */
export interface TopData {
  /** Open runs before ended ones, each newest first. */
  readonly runs: readonly Run[];
  /** Newest first. */
  readonly sessions: readonly Session[];
  readonly runners: readonly RunnerInfo[];
}

export const NOTHING: TopData = { runs: [], sessions: [], runners: [] };

const MAX_OPEN = 500;
const MAX_ENDED = 100;
const MAX_SESSIONS = 500;

export async function readTop(client: CoordinatorClient): Promise<TopData> {
  const [open, latest, sessions, runners] = await Promise.all([
    client.newestRuns({ status: "pending,claimed,running,stopping" }, MAX_OPEN),
    client.newestRuns({}, MAX_ENDED),
    client.newestSessions({}, MAX_SESSIONS),
    client.runners(),
  ]);
  const ended = latest.rows.filter(({ status }) => isTerminal(status));
  return { runs: [...open.rows.toReversed(), ...ended.toReversed()], sessions: sessions.rows.toReversed(), runners };
}
