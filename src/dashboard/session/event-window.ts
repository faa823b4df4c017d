import { delay } from "../../async/delay.ts";
import type { NumberedEvent } from "./conversation.ts";

export interface EventPage {
  readonly events: readonly NumberedEvent[];
  /** Null after the last one. */
  readonly next_cursor: string | null;
}

/** Reads a page of the session's events: after (`asc`) or before (`desc`) the event `cursor`; without one from the beginning or the end. */
export type LoadEvents = (
  order: "asc" | "desc",
  limit: number,
  cursor: number | null,
  signal: AbortSignal,
) => Promise<EventPage>;

export interface ShownEvents {
  readonly events: readonly NumberedEvent[];
  readonly hasOlder: boolean;
  /** There are newer ones that are not shown: the reader is not at the end. */
  readonly hasNewer: boolean;
  readonly isLoaded: boolean;
  /** Why the last load failed. */
  readonly fault: string | null;
}

const PAGE = 100;
const BETWEEN_READS_MS = 100;
/** So many are held at most, however long the session is; what is further away is asked for when the reader gets there. */
const MOST = 300;

/**
 * The part of a session's events that a reader sees. It moves with the reader, and with the end while the reader is there. That something
 * happened is told by `ring`; what it was is always read from the list, so that a gap in what is told is none in what is shown.
 */
export class EventWindow {
  readonly #load: LoadEvents;
  readonly #show: (shown: ShownEvents) => void;
  readonly #signal: AbortSignal;
  #events: readonly NumberedEvent[] = [];
  #hasOlder = false;
  #hasNewer = false;
  #isLoaded = false;
  #fault: string | null = null;
  #follows = true;
  #hasRung = false;
  #isAnswering = false;
  #tail: Promise<void> = Promise.resolve();

  constructor(load: LoadEvents, signal: AbortSignal, show: (shown: ShownEvents) => void) {
    this.#load = load;
    this.#signal = signal;
    this.#show = show;
  }

  /** The newest events, in place of those that are there. */
  toNewest(): Promise<void> {
    return this.#alone(() => this.#readNewest());
  }

  older(): Promise<void> {
    return this.#alone(async () => {
      const first = this.#events[0];
      if (!this.#hasOlder || first === undefined) return;
      const { events, next_cursor } = await this.#load("desc", PAGE, first.event_id, this.#signal);
      const all = [...events.toReversed(), ...this.#events];
      this.#events = all.slice(0, MOST);
      this.#hasOlder = next_cursor !== null;
      this.#hasNewer ||= all.length > MOST;
    });
  }

  newer(): Promise<void> {
    return this.#alone(() => this.#readNewer());
  }

  /** Whether the reader is at the end, where what is new is shown as it comes. */
  follow(follows: boolean): void {
    this.#follows = follows;
    if (follows && this.#hasRung) this.ring();
  }

  /** There may be new events. */
  ring(): void {
    this.#hasRung = true;
    if (this.#isAnswering) return;
    this.#isAnswering = true;
    void this.#alone(() => this.#answer()).then(async () => {
      // What comes meanwhile is read with one request, however much it is.
      await delay(BETWEEN_READS_MS, this.#signal);
      this.#isAnswering = false;
      if (this.#hasRung && !this.#hasNewer && this.#fault === null && !this.#signal.aborted) this.ring();
    });
  }

  async #answer(): Promise<void> {
    if (!this.#hasRung) return;
    // To a reader who is elsewhere it is only told that there is more.
    if (this.#isLoaded && !this.#follows) this.#hasNewer = true;
    if (!this.#hasNewer) await this.#readNewer();
  }

  /** One step at a time. None of them rejects. */
  #alone(step: () => Promise<void>): Promise<void> {
    this.#tail = this.#tail.then(async () => {
      if (this.#signal.aborted) return;
      try {
        await step();
        this.#fault = null;
      } catch (error) {
        this.#hasRung = true;
        this.#fault = error instanceof Error ? error.message : String(error);
      }
      if (this.#signal.aborted) return;
      this.#show({
        events: this.#events,
        hasOlder: this.#hasOlder,
        hasNewer: this.#hasNewer,
        isLoaded: this.#isLoaded,
        fault: this.#fault,
      });
    });
    return this.#tail;
  }

  async #readNewest(): Promise<void> {
    this.#hasRung = false;
    const { events, next_cursor } = await this.#load("desc", PAGE, null, this.#signal);
    this.#events = events.toReversed();
    this.#hasOlder = next_cursor !== null;
    this.#hasNewer = false;
    this.#isLoaded = true;
  }

  async #readNewer(): Promise<void> {
    this.#hasRung = false;
    const last = this.#events.at(-1);
    if (last === undefined) return this.#readNewest();
    const { events, next_cursor } = await this.#load("asc", PAGE, last.event_id, this.#signal);
    // Whoever follows wants the end, not all that has come in between while the page slept.
    if (next_cursor !== null && this.#follows && !this.#hasNewer) return this.#readNewest();
    const all = [...this.#events, ...events];
    this.#events = all.slice(-MOST);
    this.#hasOlder ||= all.length > MOST;
    this.#hasNewer = next_cursor !== null;
  }
}
