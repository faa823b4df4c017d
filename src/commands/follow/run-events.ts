import type { CoordinatorClient } from "../../client/coordinator-client.ts";
import type { SessionEvent } from "../../protocol/session.ts";

const PAGE_EVENTS = 500;

/** Reads a session's events: each call returns those since the last call, oldest first. */
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
        page = await this.#client.sessionEvents(this.#sessionId, this.#last, PAGE_EVENTS);
      } catch (error) {
        // The pages so far would not be read again.
        if (all.length > 0) return all;
        throw error;
      }
      const { events, nextCursor } = page;
      // A coordinator without pages returns all events each time.
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
