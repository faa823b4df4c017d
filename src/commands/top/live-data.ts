import { delay } from "../../async/delay.ts";
import type { CoordinatorClient } from "../../client/coordinator-client.ts";
import { failureOfThrown } from "../../client/failure.ts";
import { readTop, type TopData } from "./top-data.ts";

const BETWEEN_READS_MS = 500;
/** Runners come and go, and times pass, without a word. */
const ANYWAY_EVERY_MS = 5_000;
const RETRY_MS = 1_000;

export interface LiveOptions {
  readonly client: CoordinatorClient;
  readonly signal: AbortSignal;
  readonly onData: (data: TopData) => void;
  /** It does not answer; `why` in words. */
  readonly onAway: (why: string) => void;
}

/** Reads again when the coordinator tells that something has happened, and every few seconds. Resolves when the signal fires; rejects where it is refused. */
export async function keepReading({ client, signal, onData, onAway }: LiveOptions): Promise<void> {
  let wake = new AbortController();
  const listening = listen(client, signal, () => wake.abort());
  while (!signal.aborted) {
    // New before the read: what happens during it ends the pause that follows.
    wake = new AbortController();
    try {
      onData(await readTop(client));
      await Promise.all([
        delay(BETWEEN_READS_MS, signal),
        delay(ANYWAY_EVERY_MS, AbortSignal.any([signal, wake.signal])),
      ]);
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
      // The reads tell whether it is away.
    }
    await delay(RETRY_MS, signal);
  }
}
