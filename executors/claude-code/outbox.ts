import { describeError } from "../../src/errors.ts";
import type { NewEvent, SessionClient } from "../../src/executor-kit/session-client.ts";
import type { Bind } from "../../src/protocol/session.ts";

/** Bounds memory: an unreachable coordinator must not fill it with the outputs of tools. */
const MAX_PENDING_BYTES = 32 * 1024 * 1024;

/**
 * Queues the calls about the session. The client sends them in order and retries transient failures. Only {@link flush}
 * waits for them, so a slow or unreachable coordinator does not hold up the agent.
 */
export class Outbox {
  readonly #session: SessionClient;
  #last: Promise<void> = Promise.resolve();
  #pendingBytes = 0;
  #dropped = 0;
  #failure: string | null = null;

  constructor(session: SessionClient) {
    this.#session = session;
  }

  bind(bind: Bind): void {
    this.#queue(this.#session.bind(bind), 0);
  }

  send(...events: readonly NewEvent[]): void {
    for (const event of events) {
      const bytes = event.tool_name == null ? 0 : JSON.stringify(event).length;
      if (bytes > 0 && this.#pendingBytes + bytes > MAX_PENDING_BYTES) this.#dropped++;
      else this.#queue(this.#session.event(event), bytes);
    }
  }

  /** Number of tool events dropped because too many bytes were pending. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Waits for all calls. Resolves to the first failure, or null. */
  async flush(): Promise<string | null> {
    await this.#last;
    return this.#failure;
  }

  #queue(call: Promise<void>, bytes: number): void {
    this.#pendingBytes += bytes;
    // The calls settle in order, so the last call settles after all others.
    this.#last = call
      .catch((error: unknown) => {
        this.#failure ??= describeError(error);
      })
      .then(() => {
        this.#pendingBytes -= bytes;
      });
  }
}
