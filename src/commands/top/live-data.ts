import { delay } from "../../async/delay.ts";
import { linked } from "../../async/linked.ts";
import type { CoordinatorClient } from "../../client/coordinator-client.ts";
import { failureOfThrown } from "../../client/failure.ts";
import { readTop, type TopData } from "./top-data.ts";

const MIN_INTERVAL_MS = 500;
/** Reads at least this often: no event reports a silent runner. */
const MAX_INTERVAL_MS = 5_000;
const RETRY_MS = 1_000;

export interface LiveOptions {
  readonly client: CoordinatorClient;
  readonly signal: AbortSignal;
  readonly onData: (data: TopData) => void;
  /** The coordinator does not answer. */
  readonly onAway: (reason: string) => void;
}

/**
 * Reads the data after each change at the coordinator, and every few seconds. Resolves when the signal fires. Rejects
 * if the coordinator refuses a read.
 */
export async function keepReading({ client, signal, onData, onAway }: LiveOptions): Promise<void> {
  let wake = (): void => {};
  const listening = listen(client, signal, () => wake());
  while (!signal.aborted) {
    // Renewed before the read: a change during the read ends the delay after it.
    using early = linked(signal);
    wake = () => early.abort();
    try {
      onData(await readTop(client));
      await Promise.all([delay(MIN_INTERVAL_MS, signal), delay(MAX_INTERVAL_MS, early.signal)]);
    } catch (error) {
      const failure = failureOfThrown("top", error);
      if (!failure.isRetryable) throw error;
      onAway(failure.message);
      await delay(RETRY_MS, signal);
    }
  }
  await listening;
}

async function listen(client: CoordinatorClient, signal: AbortSignal, onChange: () => void): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const _ of client.changes(signal)) onChange();
    } catch {
      // A failed read reports the outage.
    }
    await delay(RETRY_MS, signal);
  }
}
