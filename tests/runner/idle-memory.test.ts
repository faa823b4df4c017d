import { expect, test } from "bun:test";
import { freeMemoryWhenIdle } from "../../src/runner/idle-memory.ts";
import { Bell } from "../../src/runner/runs/bell.ts";
import { until } from "../harness/until.ts";

function setup(idleMs: number) {
  const bell = new Bell();
  const registry = { size: 0 };
  const controller = new AbortController();
  let collections = 0;
  const collect = (): void => void collections++;
  const ended = freeMemoryWhenIdle({ registry, bell, signal: controller.signal, idleMs, collect });
  const change = async (size: number): Promise<void> => {
    registry.size = size;
    bell.ring();
    // Lets the loop see each change, as it does between two runs.
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { change, collections: () => collections, end: () => (controller.abort(), ended) };
}

test("freeMemoryWhenIdle: collects once after the last run, and again after the next", async () => {
  const made = setup(5);
  for (const round of [1, 2]) {
    await made.change(1);
    await made.change(0);
    await until("a collection", () => made.collections() === round);
    await made.change(0);
  }
  await made.end();
  expect(made.collections()).toBe(2);
});

test("freeMemoryWhenIdle: collects nothing while a run is here, or before the first", async () => {
  const made = setup(0);
  await made.change(0);
  await made.change(2);
  await made.change(1);
  await made.end();
  expect(made.collections()).toBe(0);
});

test("freeMemoryWhenIdle: a new run ends the rest", async () => {
  const made = setup(3_600_000);
  await made.change(1);
  await made.change(0);
  await made.change(1);
  await made.end();
  expect(made.collections()).toBe(0);
});
