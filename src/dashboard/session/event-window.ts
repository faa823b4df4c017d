import { delay } from "../../async/delay.ts";
import type { NumberedEvent } from "./conversation.ts";

export interface EventPage {
  readonly events: readonly NumberedEvent[];
  /** Null after the last one. */
  readonly next_cursor: string | null;
}

/**
 * Reads a page of the session's events, after (`asc`) or before (`desc`) the event `cursor`. Without a cursor, reads
 * the first or the last page.
 */
export type LoadEvents = (
  order: "asc" | "desc",
  limit: number,
  cursor: number | null,
  signal: AbortSignal,
) => Promise<EventPage>;

export interface ShownEvents {
  readonly events: readonly NumberedEvent[];
  readonly hasOlder: boolean;
  /** Newer events exist but are not shown: the reader is not at the end. */
  readonly hasNewer: boolean;
  readonly isLoaded: boolean;
  /** Why the last load failed. */
  readonly fault: string | null;
}

const PAGE_EVENTS = 100;
const MIN_PAUSE_MS = 100;
/** Bounds memory and the DOM. Scrolling past either end loads the next page and drops events at the other end. */
const MAX_EVENTS = 300;

/**
 * The part of a session's events that is on the page. It moves with the reader, and follows the end while the reader is
 * there. `notify` only triggers a read of the list, so missed notifications leave no gap on the page.
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
  /** There may be events newer than the last read. */
  #isStale = false;
  #isUpdating = false;
  #tail: Promise<void> = Promise.resolve();

  constructor(load: LoadEvents, signal: AbortSignal, show: (shown: ShownEvents) => void) {
    this.#load = load;
    this.#signal = signal;
    this.#show = show;
  }

  /** Replaces the events with the newest page. */
  jumpToNewest(): Promise<void> {
    return this.#serialize(() => this.#readNewest());
  }

  older(): Promise<void> {
    return this.#serialize(async () => {
      const first = this.#events[0];
      if (!this.#hasOlder || first === undefined) return;
      const { events, next_cursor } = await this.#load("desc", PAGE_EVENTS, first.event_id, this.#signal);
      const all = [...events.toReversed(), ...this.#events];
      this.#events = all.slice(0, MAX_EVENTS);
      this.#hasOlder = next_cursor !== null;
      this.#hasNewer ||= all.length > MAX_EVENTS;
    });
  }

  newer(): Promise<void> {
    return this.#serialize(() => this.#readNewer());
  }

  /** Whether the reader is at the end, where new events appear at once. */
  follow(follows: boolean): void {
    this.#follows = follows;
    if (follows && this.#isStale) this.notify();
  }

  /** Call when there may be new events. Many calls cause few reads. */
  notify(): void {
    this.#isStale = true;
    if (this.#isUpdating) return;
    this.#isUpdating = true;
    void this.#serialize(() => this.#update()).then(async () => {
      // One request then reads all events of the pause.
      await delay(MIN_PAUSE_MS, this.#signal);
      this.#isUpdating = false;
      if (this.#isStale && !this.#hasNewer && this.#fault === null && !this.#signal.aborted) this.notify();
    });
  }

  async #update(): Promise<void> {
    if (!this.#isStale) return;
    // A reader elsewhere learns only that newer events exist.
    if (this.#isLoaded && !this.#follows) this.#hasNewer = true;
    if (!this.#hasNewer) await this.#readNewer();
  }

  /** Runs one step at a time. Never rejects: a failure becomes `fault`. */
  #serialize(step: () => Promise<void>): Promise<void> {
    this.#tail = this.#tail.then(async () => {
      if (this.#signal.aborted) return;
      try {
        await step();
        this.#fault = null;
      } catch (error) {
        this.#isStale = true;
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
    this.#isStale = false;
    const { events, next_cursor } = await this.#load("desc", PAGE_EVENTS, null, this.#signal);
    this.#events = events.toReversed();
    this.#hasOlder = next_cursor !== null;
    this.#hasNewer = false;
    this.#isLoaded = true;
  }

  async #readNewer(): Promise<void> {
    this.#isStale = false;
    const last = this.#events.at(-1);
    if (last === undefined) return this.#readNewest();
    const { events, next_cursor } = await this.#load("asc", PAGE_EVENTS, last.event_id, this.#signal);
    // After a long gap (the page slept), a following reader gets the end, not every page in between.
    if (next_cursor !== null && this.#follows && !this.#hasNewer) return this.#readNewest();
    const all = [...this.#events, ...events];
    this.#events = all.slice(-MAX_EVENTS);
    this.#hasOlder ||= all.length > MAX_EVENTS;
    this.#hasNewer = next_cursor !== null;
  }
}
