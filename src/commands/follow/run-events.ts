import type { CoordinatorClient } from "../../client/coordinator-client.ts";
import type { SessionEvent } from "../../protocol/session.ts";

const AT_A_TIME = 500;

/** Reads on in a session's events: each call gives those that came since the last one, oldest first. */
export class RunEvents {
  readonly #client: CoordinatorClient;
  readonly #sessionId: string;
  #last: number | null = null;
  #seen = 0;

  constructor(client: CoordinatorClient, sessionId: string) {
    this.#client = client;
    this.#sessionId = sessionId;
  }

  async next(): Promise<SessionEvent[]> {
    const all: SessionEvent[] = [];
    for (;;) {
      let page: Awaited<ReturnType<CoordinatorClient["sessionEvents"]>>;
      try {
        page = await this.#client.sessionEvents(this.#sessionId, this.#last, AT_A_TIME);
      } catch (error) {
        // What came before it is not to be read again.
        if (all.length > 0) return all;
        throw error;
      }
      const { events, nextCursor } = page;
      // A coordinator without pages gives all of them each time.
      if (nextCursor === undefined) {
        const fresh = events.slice(this.#seen);
        this.#seen = Math.max(this.#seen, events.length);
        return fresh;
      }
      all.push(...events);
      const last = events.at(-1)?.["event_id"];
      if (typeof last === "number") this.#last = last;
      if (nextCursor === null || events.length === 0) return all;
    }
  }
}
