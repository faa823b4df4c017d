import type { Tally } from "./gate-step.ts";

/**
 * Reads the counts from the last lines of `bun test` (` 9 pass`, ` 0 fail`). A bad exit code counts as a failure: the
 * lines alone do not show a file that cannot be loaded, or a run that broke off.
 */
export function testTally(exitCode: number, output: string): Tally {
  const count = (word: string): number =>
    Number(
      output
        .match(new RegExp(`^ *(\\d+) ${word}$`, "gm"))
        ?.at(-1)
        ?.trim()
        .split(" ")[0] ?? 0,
    );
  const passed = count("pass");
  const failed = count("fail");
  const broken = exitCode !== 0 || passed + failed === 0;
  return { passed, failed: failed === 0 && broken ? 1 : failed };
}
