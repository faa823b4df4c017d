import { expect, test } from "bun:test";
import { TWICE } from "./twice-store.ts";

const FOLDERS = ["runs", "runners", "sessions", "agents"].map((folder) => `tests/coordinator/${folder}`);

test.skipIf(process.env[TWICE] !== undefined)(
  "the work of a transaction may be done again: these suites hold although each is, once in vain",
  async () => {
    const suites = Bun.spawn([process.execPath, "test", "--timeout", "60000", ...FOLDERS], {
      cwd: `${import.meta.dir}/../..`,
      env: { ...process.env, [TWICE]: "1" },
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
  },
  600_000,
);
