import type { CoordinatorClient } from "../../client/coordinator-client.ts";
import { failureOfThrown } from "../../client/failure.ts";
import { delay } from "../../async/delay.ts";
import { ExitCode } from "../../errors.ts";
import { isTerminal, type Run } from "../../protocol/run.ts";
import type { SessionEvent } from "../../protocol/session.ts";

export interface Followed {
  readonly run: Run;
  /** What this run said last; null if it said nothing. */
  readonly result: string | null;
}

export interface FollowOptions {
  readonly onEvent: (event: SessionEvent) => void;
  readonly onStatus?: (run: Run) => void;
}

/** Reads the run this often without an event: not every coordinator sends one for each change. */
const READ_EVERY_MS = 500;
const STREAM_RETRY_MS = 2_000;

/** Follows a run to the end of its last attempt: events and status changes. Waits out an outage of the coordinator. */
export async function followRun(
  client: CoordinatorClient,
  firstRunId: string,
  sessionId: string,
  options: FollowOptions,
): Promise<Followed> {
  const done = new AbortController();
  let wake = new AbortController();
  const streaming = streamEvents(client, sessionId, done.signal, (event) => {
    if (event !== null) options.onEvent(event);
    wake.abort();
  });
  try {
    let runId = firstRunId;
    let lastState = "";
    for (;;) {
      // Renewed before the read: an event during the read ends the delay after it.
      wake = new AbortController();
      const run = await readRun(client, runId);
      // A run that was given back says so in its note.
      const status = run === null ? lastState : `${run.status} ${run.returns}`;
      if (run !== null && status !== lastState) options.onStatus?.(run);
      lastState = status;
      if (run?.retried_by != null) {
        runId = run.retried_by;
        continue;
      }
      if (run !== null && isTerminal(run.status)) return { run, result: await resultOf(client, run) };
      await delay(READ_EVERY_MS, wake.signal);
    }
  } finally {
    done.abort();
    await streaming;
  }
}

export function exitCodeOfRun(run: Run): number {
  if (run.status === "completed") return ExitCode.ok;
  return run.status === "stopped" ? ExitCode.stopped : ExitCode.failed;
}

/** Null while the coordinator is away. */
async function readRun(client: CoordinatorClient, runId: string): Promise<Run | null> {
  try {
    return await client.run(runId);
  } catch (error) {
    if (failureOfThrown("run", error).isRetryable) return null;
    throw error;
  }
}

/** Waits out an outage of the coordinator. Null for a run without a result. */
async function resultOf(client: CoordinatorClient, run: Run): Promise<string | null> {
  if (run.status !== "completed") return null;
  for (;;) {
    try {
      return await client.runResult(run);
    } catch (error) {
      if (!failureOfThrown("result", error).isRetryable) return null;
      await delay(READ_EVERY_MS);
    }
  }
}

async function streamEvents(
  client: CoordinatorClient,
  sessionId: string,
  signal: AbortSignal,
  onMessage: (event: SessionEvent | null) => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const event of client.sessionStream(sessionId, signal)) onMessage(event);
    } catch {
      // The run's status is read all the same; the stream only makes changes visible sooner.
    }
    await delay(STREAM_RETRY_MS, signal);
  }
}
