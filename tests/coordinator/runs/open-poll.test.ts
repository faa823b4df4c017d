import { expect, test } from "bun:test";
import { type Found, OpenPoll } from "../../../src/coordinator/runs/open-poll.ts";
import { PollWaiters } from "../../../src/coordinator/runners/poll-waiters.ts";

type Look = PromiseWithResolvers<Found<string> | null>;

/** A poll whose looks the test answers. */
function openPoll(waiters = new PollWaiters(), runnerId = "r") {
  const looks: Look[] = [];
  const client = new AbortController();
  const poll = new OpenPoll<string>({
    runnerId,
    offer: null,
    signal: client.signal,
    timeoutMs: 60_000,
    look() {
      const look: Look = Promise.withResolvers();
      looks.push(look);
      return look.promise;
    },
    nextLookMs: () => null,
    onFault: () => {},
    onEnd: (ended) => waiters.remove(ended),
  });
  waiters.add(poll);
  return { poll, looks, client, waiters };
}

test("OpenPoll: a wake-up during a look makes it look once more, after it", async () => {
  const { poll, looks, waiters } = openPoll();
  const first = poll.tryAnswer();
  const [second, third] = [poll.tryAnswer(), poll.tryAnswer()];
  expect(looks).toHaveLength(1);
  looks[0]?.resolve(null);
  expect(await first).toBe(false);
  expect(looks).toHaveLength(2);
  looks[1]?.resolve({ answer: "run" });
  expect([await second, await third, await poll.answer]).toEqual([true, true, "run"]);
  expect([looks.length, waiters.has("r")]).toEqual([2, false]);
});

test("OpenPoll: what a look brings after the poll's end is taken back before the poll is answered", async () => {
  const ends: readonly ((open: ReturnType<typeof openPoll>) => void)[] = [
    ({ poll }) => poll.end(),
    ({ client }) => client.abort(),
    ({ waiters }) => void openPoll(waiters),
    ({ waiters }) => waiters.endAll(),
  ];
  for (const end of ends) {
    const open = openPoll();
    const told: string[] = [];
    const took = open.poll.tryAnswer();
    const answered = open.poll.answer.then((answer) => told.push(`answer ${answer}`));
    end(open);
    open.looks[0]?.resolve({ answer: "run", takeBack: async () => void told.push("taken back") });
    expect(await took).toBe(false);
    await answered;
    expect(told).toEqual(["taken back", "answer null"]);
  }
});

test("OpenPoll: a fault of the first look is the poll's; a later one leaves it open", async () => {
  const failing = openPoll();
  void failing.poll.tryAnswer();
  failing.looks[0]?.reject(new Error("disk"));
  await expect(failing.poll.answer).rejects.toThrow("disk");
  const later = openPoll();
  const first = later.poll.tryAnswer();
  later.looks[0]?.resolve(null);
  await first;
  const second = later.poll.tryAnswer();
  later.looks[1]?.reject(new Error("disk"));
  expect([await second, later.waiters.has("r")]).toEqual([false, true]);
});
