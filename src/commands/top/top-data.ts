import type { CoordinatorClient } from "../../client/coordinator-client.ts";
import { isTerminal, type Run } from "../../protocol/run.ts";
import type { RunnerInfo } from "../../protocol/runner.ts";
import type { Session } from "../../protocol/session.ts";

/** What `top` shows, as it was at one moment. */
export interface TopData {
  /** Open runs first, then what has ended; each the newest first. */
  readonly runs: readonly Run[];
  /** The newest first. */
  readonly sessions: readonly Session[];
  readonly runners: readonly RunnerInfo[];
}

export const NOTHING: TopData = { runs: [], sessions: [], runners: [] };

const MOST_OPEN = 500;
const MOST_ENDED = 100;
const MOST_SESSIONS = 500;

export async function readTop(client: CoordinatorClient): Promise<TopData> {
  const [open, latest, sessions, runners] = await Promise.all([
    client.newestRuns({ status: "pending,claimed,running,stopping" }, MOST_OPEN),
    client.newestRuns({}, MOST_ENDED),
    client.newestSessions({}, MOST_SESSIONS),
    client.runners(),
  ]);
  const ended = latest.rows.filter(({ status }) => isTerminal(status));
  return { runs: [...open.rows.toReversed(), ...ended.toReversed()], sessions: sessions.rows.toReversed(), runners };
}
