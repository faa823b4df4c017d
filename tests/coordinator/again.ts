import { expect } from "bun:test";
import { IS_POSTGRES } from "../harness/postgres.ts";
import { TWICE } from "./twice-store.ts";

/** Whether this process was started by `again`. */
export const IS_AGAIN = IS_POSTGRES || process.env[TWICE] !== undefined;

/** Runs test files of the coordinator once more, in a process of their own, on another store. */
export async function again(
  folders: readonly string[],
  environment: Record<string, string> = {},
  prefix: readonly string[] = [],
): Promise<void> {
  const paths = folders.map((folder) => `tests/coordinator/${folder}`);
  const suites = Bun.spawn([process.execPath, ...prefix, "test", "--timeout", "60000", ...paths], {
    cwd: `${import.meta.dir}/../..`,
    env: { ...process.env, ...environment },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [told] = await Promise.all([
    new Response(suites.stderr).text(),
    new Response(suites.stdout).text(),
    suites.exited,
  ]);
  expect(told.match(/^\(fail\).*/gm) ?? []).toEqual([]);
  expect(told).toMatch(/^ ?[1-9]\d\d pass$/m);
}
