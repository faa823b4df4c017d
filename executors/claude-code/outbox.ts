import { describeError } from "../../src/errors.ts";
import type { NewEvent, SessionClient } from "../../src/executor-kit/session-client.ts";
import type { Bind } from "../../src/protocol/session.ts";

/** A coordinator that is away for long must not fill the memory of the machine with what tools gave. */
const MOST_WAITING_BYTES = 32 * 1024 * 1024;

/**
 * What is told about the session, on its way in order: the client sends one after the other and repeats what may pass. Nobody waits for it
 * but {@link flush}, so the agent is neither held up nor ended by it.
 */
export class Outbox {
  readonly #session: SessionClient;
  #last: Promise<void> = Promise.resolve();
  #waitingBytes = 0;
  #leftOut = 0;
  #failure: string | null = null;

  constructor(session: SessionClient) {
    this.#session = session;
  }

  bind(bind: Bind): void {
    this.#follow(this.#session.bind(bind), 0);
  }

  send(...events: readonly NewEvent[]): void {
    for (const event of events) {
      const bytes = event.tool_name == null ? 0 : JSON.stringify(event).length;
      if (bytes > 0 && this.#waitingBytes + bytes > MOST_WAITING_BYTES) this.#leftOut++;
      else this.#follow(this.#session.event(event), bytes);
    }
  }

  /** How many tool events were left out, too many having been on their way. */
  get leftOut(): number {
    return this.#leftOut;
  }

  /** Resolves when all is told; to what went wrong first, if something did. */
  async flush(): Promise<string | null> {
    await this.#last;
    return this.#failure;
  }

  #follow(call: Promise<void>, bytes: number): void {
    this.#waitingBytes += bytes;
    // The calls settle in the order in which they are made: with the last one all have.
    this.#last = call
      .catch((error: unknown) => {
        this.#failure ??= describeError(error);
      })
      .then(() => {
        this.#waitingBytes -= bytes;
      });
  }
}
