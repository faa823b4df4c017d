import { expect, test } from "bun:test";
import type { CoordinatorClient } from "../../../src/client/coordinator-client.ts";
import { RunEvents } from "../../../src/commands/follow/run-events.ts";

const event = (event_id: number) => ({ event_type: "message", session_id: "s", event_id });

/** A client that returns these pages in turn; "away" is an outage. */
function clientOf(...pages: (number[] | "away")[]): { client: CoordinatorClient; asked: (number | null)[] } {
  const asked: (number | null)[] = [];
  const sessionEvents = async (
    _: string,
    after: number | null,
  ): Promise<{ events: object[]; nextCursor: string | null }> => {
    asked.push(after);
    const page = pages.shift() ?? [];
    if (page === "away") throw new Error("away");
    return { events: page.map(event), nextCursor: page.length === 2 ? String(page.at(-1)) : null };
  };
  return { client: { sessionEvents } as unknown as CoordinatorClient, asked };
}

const idsOf = (events: readonly object[]): unknown[] => events.map((each) => (each as { event_id: number }).event_id);

test("RunEvents continues after its last event, over pages", async () => {
  const { client, asked } = clientOf([1, 2], [3], [], [4]);
  const events = new RunEvents(client, "s");
  expect([idsOf(await events.next()), idsOf(await events.next()), idsOf(await events.next())]).toEqual([
    [1, 2, 3],
    [],
    [4],
  ]);
  expect(asked).toEqual([null, 2, 3, 3]);
});

test("RunEvents loses no event in an outage between two pages", async () => {
  const { client } = clientOf([1, 2], "away", "away", [3]);
  const events = new RunEvents(client, "s");
  expect(idsOf(await events.next())).toEqual([1, 2]);
  await expect(events.next()).rejects.toThrow("away");
  expect(idsOf(await events.next())).toEqual([3]);
});

test("RunEvents: only new events from a coordinator without pages", async () => {
  const lists = [[1], [1, 2], [1, 2]];
  const sessionEvents = async () => ({ events: (lists.shift() ?? []).map(event), nextCursor: undefined });
  const events = new RunEvents({ sessionEvents } as unknown as CoordinatorClient, "s");
  expect([idsOf(await events.next()), idsOf(await events.next()), idsOf(await events.next())]).toEqual([[1], [2], []]);
});
