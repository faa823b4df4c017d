import { expect, test } from "bun:test";
import { Semaphore } from "../../src/async/semaphore.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("Semaphore: admits at most its limit, and the others in order", async () => {
  const semaphore = new Semaphore(2);
  const begun: number[] = [];
  const ends = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
  const all = ends.map(({ promise }, i) => semaphore.hold(() => (begun.push(i), promise)));
  await turn();
  expect(begun).toEqual([0, 1]);
  ends[1]?.resolve();
  await turn();
  expect(begun).toEqual([0, 1, 2]);
  for (const end of ends) end.resolve();
  await Promise.all(all);
  expect(begun).toEqual([0, 1, 2, 3, 4]);
});

test("Semaphore: a holder that fails frees its place, and its caller gets the failure", async () => {
  const semaphore = new Semaphore(1);
  await expect(semaphore.hold(() => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
  expect(await semaphore.hold(() => Promise.resolve("next"))).toBe("next");
});
