import { expect, test } from "bun:test";
import { sideBySide } from "../../scripts/side-by-side.ts";
import { testCommand } from "../../scripts/test-command.ts";

test("sideBySide: begins the tasks in order, and one more as soon as another ends", async () => {
  const begun: number[] = [];
  const ends = Array.from({ length: 4 }, () => Promise.withResolvers<void>());
  const done = sideBySide(
    ends.map(
      ({ promise }, i) =>
        () => (begun.push(i), promise),
    ),
    2,
  );
  expect(begun).toEqual([0, 1]);
  ends[1]?.resolve();
  await Bun.sleep(0);
  expect(begun).toEqual([0, 1, 2]);
  for (const { resolve } of ends) resolve();
  await done;
  expect(begun).toEqual([0, 1, 2, 3]);
});

test("sideBySide: rejects with the first failure, after all tasks have ended", async () => {
  const ended: string[] = [];
  const fails = (): Promise<void> => Promise.reject(new Error("first"));
  const works = async (): Promise<void> => {
    await Bun.sleep(0);
    ended.push("second");
  };
  await expect(sideBySide([fails, works], 1)).rejects.toThrow("first");
  expect(ended).toEqual(["second"]);
});

test("testCommand: the slowest files first, or the order of a seed", () => {
  expect(testCommand()).toContain("--timings=tests/timings.json");
  const random = testCommand({ processes: 3, seed: 7, only: ["tests/e2e"] });
  expect(random.slice(-4)).toEqual(["--parallel=3", "--randomize", "--seed=7", "tests/e2e"]);
});
