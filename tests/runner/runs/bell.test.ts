import { expect, test } from "bun:test";
import { Bell } from "../../../src/runner/runs/bell.ts";

test("Bell.rung: a ring wakes every waiter once", async () => {
  const bell = new Bell();
  let wakes = 0;
  const waits = [bell.rung(), bell.rung()].map((rung) => rung.then(() => wakes++));
  bell.ring();
  bell.ring();
  await Promise.all(waits);
  expect(wakes).toBe(2);
});

test("Bell.rung: an earlier ring wakes nobody", async () => {
  const bell = new Bell();
  bell.ring();
  const rung = bell.rung().then(() => "rung");
  // Time for a ring that must not come.
  expect(await Promise.race([rung, Bun.sleep(1).then(() => "silent")])).toBe("silent");
  bell.ring();
  expect(await rung).toBe("rung");
});
