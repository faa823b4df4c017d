import { afterEach, expect, jest, test } from "bun:test";
import { RisingTime } from "../../src/protocol/rising-time.ts";

afterEach(() => {
  jest.useRealTimers();
});

const NOW = "2026-01-31T08:00:00.000Z";

function at(now: string): RisingTime {
  jest.useFakeTimers({ now: Date.parse(now) });
  return new RisingTime();
}

test("RisingTime: is the clock's time, and later with each event, even if the clock goes back", () => {
  const time = at(NOW);
  expect([time.next(), time.next()]).toEqual([NOW, "2026-01-31T08:00:00.001Z"]);
  jest.setSystemTime(Date.parse("2026-01-31T07:00:00Z"));
  expect(time.next()).toBe("2026-01-31T08:00:00.002Z");
  jest.setSystemTime(Date.parse("2026-01-31T09:00:00Z"));
  expect(time.next()).toBe("2026-01-31T09:00:00.000Z");
});

test.each([
  ["2026-01-31T08:00:00.500Z", "2026-01-31T08:00:00.501Z"],
  ["2026-01-31T08:00:00.500999+00:00", "2026-01-31T08:00:00.501Z"],
  ["2026-01-31T07:59:59.000Z", NOW],
  ["9999-12-31T00:00:00Z", NOW],
  ["yesterday", NOW],
  [undefined, NOW],
])("RisingTime.follow: after %s comes %s", (other, next) => {
  const time = at(NOW);
  time.follow(other);
  expect(time.next()).toBe(next);
});
