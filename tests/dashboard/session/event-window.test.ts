import { expect, test } from "bun:test";
import type { NumberedEvent } from "../../../src/dashboard/session/conversation.ts";
import { EventWindow, type LoadEvents, type ShownEvents } from "../../../src/dashboard/session/event-window.ts";
import { until } from "../../harness/until.ts";

/** A coordinator's list of one session's events, numbered from 1, and a window onto it. */
class Reading implements Disposable {
  last: number;
  fault: string | null = null;
  loads = 0;
  shown: ShownEvents | undefined;
  readonly window: EventWindow;
  readonly #end = new AbortController();

  constructor(events: number) {
    this.last = events;
    this.window = new EventWindow(this.#load, this.#end.signal, (shown) => (this.shown = shown));
  }

  get numbers(): [first: number | undefined, last: number | undefined, count: number] {
    const events = this.shown?.events ?? [];
    return [events[0]?.event_id, events.at(-1)?.event_id, events.length];
  }

  get ends(): [hasOlder: boolean, hasNewer: boolean] {
    return [this.shown?.hasOlder ?? false, this.shown?.hasNewer ?? false];
  }

  readonly #load: LoadEvents = async (order, limit, cursor) => {
    this.loads += 1;
    await Promise.resolve();
    if (this.fault !== null) throw new Error(this.fault);
    const all = Array.from({ length: this.last }, (_, i): NumberedEvent => ({
      event_type: "x",
      session_id: "ses_1",
      event_id: i + 1,
    }));
    const sought = all.filter(
      ({ event_id }) => cursor === null || (order === "asc" ? event_id > cursor : event_id < cursor),
    );
    const events = (order === "asc" ? sought : sought.toReversed()).slice(0, limit);
    return { events, next_cursor: events.length < limit ? null : String(events.at(-1)?.event_id) };
  };

  [Symbol.dispose](): void {
    this.#end.abort();
  }
}

test("EventWindow begins at the end and goes back page by page, holding so many at most", async () => {
  using reading = new Reading(1_000);
  await reading.window.toNewest();
  expect([reading.numbers, reading.ends]).toEqual([
    [901, 1_000, 100],
    [true, false],
  ]);
  for (let i = 0; i < 2; i++) await reading.window.older();
  expect([reading.numbers, reading.ends]).toEqual([
    [701, 1_000, 300],
    [true, false],
  ]);
  await reading.window.older();
  expect([reading.numbers, reading.ends]).toEqual([
    [601, 900, 300],
    [true, true],
  ]);
  for (let i = 0; i < 6; i++) await reading.window.older();
  expect([reading.numbers, reading.ends[1]]).toEqual([[1, 300, 300], true]);
  await reading.window.older();
  expect(reading.ends).toEqual([false, true]);
});

test("EventWindow goes forward again to the end", async () => {
  using reading = new Reading(450);
  await reading.window.toNewest();
  for (let i = 0; i < 4; i++) await reading.window.older();
  expect([reading.numbers, reading.ends]).toEqual([
    [1, 300, 300],
    [false, true],
  ]);
  reading.window.follow(false);
  await reading.window.newer();
  expect([reading.numbers, reading.ends]).toEqual([
    [101, 400, 300],
    [true, true],
  ]);
  await reading.window.newer();
  expect([reading.numbers, reading.ends]).toEqual([
    [151, 450, 300],
    [true, false],
  ]);
});

test("EventWindow shows a reader at the end what is new, and forgets the oldest", async () => {
  using reading = new Reading(3);
  await reading.window.toNewest();
  expect([reading.numbers, reading.ends]).toEqual([
    [1, 3, 3],
    [false, false],
  ]);
  for (let i = 0; i < 5; i++) {
    reading.last += 80;
    reading.window.ring();
    await until("the newest is shown", () => reading.numbers[1] === reading.last);
  }
  expect([reading.numbers, reading.ends]).toEqual([
    [104, 403, 300],
    [true, false],
  ]);
});

test("EventWindow asks rarely, however often it is rung", async () => {
  using reading = new Reading(3);
  await reading.window.toNewest();
  for (let i = 0; i < 500; i++) {
    reading.last += 1;
    reading.window.ring();
    if (i % 100 === 0) await Bun.sleep(1);
  }
  await until("the newest is shown", () => reading.numbers[1] === 503);
  expect(reading.loads).toBeLessThan(10);
});

test("EventWindow goes to the end at once where very much has come", async () => {
  using reading = new Reading(3);
  await reading.window.toNewest();
  reading.last = 5_000;
  reading.window.ring();
  await until("the newest is shown", () => reading.numbers[1] === 5_000);
  expect([reading.numbers, reading.loads]).toEqual([[4_901, 5_000, 100], 3]);
});

test("EventWindow leaves a reader who is elsewhere alone, until it is at the end again", async () => {
  using reading = new Reading(3);
  await reading.window.toNewest();
  reading.window.follow(false);
  reading.last = 5;
  reading.window.ring();
  await until("it is told that there is more", () => reading.ends[1]);
  expect(reading.numbers).toEqual([1, 3, 3]);
  reading.window.follow(true);
  await reading.window.newer();
  expect([reading.numbers, reading.ends]).toEqual([
    [1, 5, 5],
    [false, false],
  ]);
});

test("EventWindow shows why it could not be read, and goes on with the next ring", async () => {
  using reading = new Reading(3);
  await reading.window.toNewest();
  reading.fault = "the coordinator is away";
  reading.last = 4;
  reading.window.ring();
  await until("the fault is shown", () => reading.shown?.fault === "the coordinator is away");
  expect(reading.numbers).toEqual([1, 3, 3]);
  reading.fault = null;
  await until("the newest is shown", () => (reading.window.ring(), reading.numbers[1] === 4));
  expect(reading.shown?.fault).toBeNull();
});

test("EventWindow of a session without events shows the first one", async () => {
  using reading = new Reading(0);
  await reading.window.toNewest();
  expect([reading.shown?.isLoaded, reading.numbers, reading.ends]).toEqual([
    true,
    [undefined, undefined, 0],
    [false, false],
  ]);
  reading.last = 1;
  reading.window.ring();
  await until("it is shown", () => reading.numbers[1] === 1);
});
