import { afterEach, expect, jest, test } from "bun:test";
import { CoordinatorFailure } from "../../../src/client/failure.ts";
import { silentLog } from "../../../src/log.ts";
import { Link } from "../../../src/runner/link/link.ts";
import { recordedLog } from "../recorded-log.ts";

const NEVER_MS = 60_000;
const AWAY = new CoordinatorFailure("unreachable", "poll: connection refused");
const quiet = (): Link => new Link(silentLog, 0, () => {});

afterEach(() => {
  jest.useRealTimers();
});

test("Link: logs one line when the coordinator goes away and one when it is back, for any number of calls", () => {
  const { log, lines } = recordedLog();
  const link = new Link(log, 0, () => {});
  link.up();
  for (let i = 0; i < 5; i++) link.down(AWAY);
  expect(link.isDown).toBe(true);
  for (let i = 0; i < 5; i++) link.up();
  expect(link.isDown).toBe(false);
  expect(lines).toEqual([
    "[WARNING] test: Agent Coordinator is away (poll: connection refused); retrying until it is back",
    expect.stringMatching(/^\[INFO\] test: Agent Coordinator is back after \d+ ms$/),
  ]);
});

test("Link.pause: ends for every caller when the coordinator is back", async () => {
  const link = quiet();
  link.down(AWAY);
  const waiting = Promise.all([link.pause(NEVER_MS), link.pause(NEVER_MS), link.pause(NEVER_MS)]);
  link.up();
  await waiting;
});

test("Link.pause: waits for the given time while nothing changes", async () => {
  const link = quiet();
  const startedMs = performance.now();
  const waiting = link.pause(40);
  link.up();
  await waiting;
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(39);
});

test("Link.pause: ends when its signal fires, and does not wait if it has fired", async () => {
  const controller = new AbortController();
  const waiting = quiet().pause(NEVER_MS, controller.signal);
  controller.abort();
  await waiting;
  await quiet().pause(NEVER_MS, controller.signal);
});

test("Link: calls onOfflineTooLong once", () => {
  jest.useFakeTimers();
  let count = 0;
  const link = new Link(silentLog, 5_000, () => count++);
  link.down(AWAY);
  jest.advanceTimersByTime(4_999);
  link.down(AWAY);
  expect(count).toBe(0);
  jest.advanceTimersByTime(1);
  expect(count).toBe(1);
  jest.advanceTimersByTime(60_000);
  expect(count).toBe(1);
});

test("Link: measures the outage from the last answer; 0 sets no limit; a closed link calls nothing", () => {
  jest.useFakeTimers();
  let count = 0;
  const link = new Link(silentLog, 5_000, () => count++);
  for (let i = 0; i < 5; i++) {
    link.down(AWAY);
    jest.advanceTimersByTime(4_000);
    link.up();
  }
  const patient = new Link(silentLog, 0, () => count++);
  patient.down(AWAY);
  link.down(AWAY);
  link.close();
  jest.advanceTimersByTime(1_000_000);
  expect(count).toBe(0);
});
