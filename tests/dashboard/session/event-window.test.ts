import { expect, test } from "bun:test";
import type { NumberedEvent } from "../../../src/dashboard/session/conversation.ts";
import { EventWindow, type LoadEvents, type ShownEvents } from "../../../src/dashboard/session/event-window.ts";
import { until } from "../../harness/until.ts";

/** An EventWindow over a fake list of events, numbered from 1. */
class WindowFixture implements Disposable {
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
    const matching = all.filter(
      ({ event_id }) => cursor === null || (order === "asc" ? event_id > cursor : event_id < cursor),
    );
    const events = (order === "asc" ? matching : matching.toReversed()).slice(0, limit);
    return { events, next_cursor: events.length < limit ? null : String(events.at(-1)?.event_id) };
  };

  [Symbol.dispose](): void {
    this.#end.abort();
  }
}

test("EventWindow starts at the end, goes back page by page, and holds at most 300 events", async () => {
  using fixture = new WindowFixture(1_000);
  await fixture.window.jumpToNewest();
  expect([fixture.numbers, fixture.ends]).toEqual([
    [901, 1_000, 100],
    [true, false],
  ]);
  for (let i = 0; i < 2; i++) await fixture.window.older();
  expect([fixture.numbers, fixture.ends]).toEqual([
    [701, 1_000, 300],
    [true, false],
  ]);
  await fixture.window.older();
  expect([fixture.numbers, fixture.ends]).toEqual([
    [601, 900, 300],
    [true, true],
  ]);
  for (let i = 0; i < 6; i++) await fixture.window.older();
  expect([fixture.numbers, fixture.ends[1]]).toEqual([[1, 300, 300], true]);
  await fixture.window.older();
  expect(fixture.ends).toEqual([false, true]);
});

test("EventWindow goes forward again to the end", async () => {
  using fixture = new WindowFixture(450);
  await fixture.window.jumpToNewest();
  for (let i = 0; i < 4; i++) await fixture.window.older();
  expect([fixture.numbers, fixture.ends]).toEqual([
    [1, 300, 300],
    [false, true],
  ]);
  fixture.window.follow(false);
  await fixture.window.newer();
  expect([fixture.numbers, fixture.ends]).toEqual([
    [101, 400, 300],
    [true, true],
  ]);
  await fixture.window.newer();
  expect([fixture.numbers, fixture.ends]).toEqual([
    [151, 450, 300],
    [true, false],
  ]);
});

test("EventWindow shows new events to a reader at the end, and drops the oldest", async () => {
  using fixture = new WindowFixture(3);
  await fixture.window.jumpToNewest();
  expect([fixture.numbers, fixture.ends]).toEqual([
    [1, 3, 3],
    [false, false],
  ]);
  for (let i = 0; i < 5; i++) {
    fixture.last += 80;
    fixture.window.notify();
    await until("the newest event is shown", () => fixture.numbers[1] === fixture.last);
  }
  expect([fixture.numbers, fixture.ends]).toEqual([
    [104, 403, 300],
    [true, false],
  ]);
});

test("EventWindow: many notifications cause few reads", async () => {
  using fixture = new WindowFixture(3);
  await fixture.window.jumpToNewest();
  for (let i = 0; i < 500; i++) {
    fixture.last += 1;
    fixture.window.notify();
    // Lets a read begin.
    if (i % 100 === 0) await Bun.sleep(1);
  }
  await until("the newest event is shown", () => fixture.numbers[1] === 503);
  expect(fixture.loads).toBeLessThan(10);
});

test("EventWindow jumps to the end after very many new events", async () => {
  using fixture = new WindowFixture(3);
  await fixture.window.jumpToNewest();
  fixture.last = 5_000;
  fixture.window.notify();
  await until("the newest event is shown", () => fixture.numbers[1] === 5_000);
  expect([fixture.numbers, fixture.loads]).toEqual([[4_901, 5_000, 100], 3]);
});

test("EventWindow: new events do not move a reader who is not at the end", async () => {
  using fixture = new WindowFixture(3);
  await fixture.window.jumpToNewest();
  fixture.window.follow(false);
  fixture.last = 5;
  fixture.window.notify();
  await until("newer events are announced", () => fixture.ends[1]);
  expect(fixture.numbers).toEqual([1, 3, 3]);
  fixture.window.follow(true);
  await fixture.window.newer();
  expect([fixture.numbers, fixture.ends]).toEqual([
    [1, 5, 5],
    [false, false],
  ]);
});

test("EventWindow shows a failed read, and reads again after the next notification", async () => {
  using fixture = new WindowFixture(3);
  await fixture.window.jumpToNewest();
  fixture.fault = "the coordinator is unreachable";
  fixture.last = 4;
  fixture.window.notify();
  await until("the fault is shown", () => fixture.shown?.fault === "the coordinator is unreachable");
  expect(fixture.numbers).toEqual([1, 3, 3]);
  fixture.fault = null;
  await until("the newest event is shown", () => (fixture.window.notify(), fixture.numbers[1] === 4));
  expect(fixture.shown?.fault).toBeNull();
});

test("EventWindow shows the first event of an empty session", async () => {
  using fixture = new WindowFixture(0);
  await fixture.window.jumpToNewest();
  expect([fixture.shown?.isLoaded, fixture.numbers, fixture.ends]).toEqual([
    true,
    [undefined, undefined, 0],
    [false, false],
  ]);
  fixture.last = 1;
  fixture.window.notify();
  await until("the event is shown", () => fixture.numbers[1] === 1);
});
