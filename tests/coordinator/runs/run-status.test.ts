import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { move } from "../../../src/coordinator/runs/run-status.ts";
import { SqliteStore } from "../../../src/coordinator/store/sqlite-store.ts";
import { silentLog } from "../../../src/log.ts";
import type { RunStatus } from "../../../src/protocol/run.ts";
import { tempFolder } from "../../harness/temp-folder.ts";

const CLAIM = {
  runner_id: "lnch_1",
  claimed_by: null,
  claimed_at: "2026-01-01T00:00:00.000Z",
  lease_until: "2026-01-01T00:02:30.000Z",
};
const END = { error: null, reason: null, completed_at: "2026-01-01T00:00:00.000Z" };

/** A store with one run of this status; `row` reads the run. */
async function withRun(
  status: RunStatus,
  body: (store: SqliteStore, row: () => Record<string, unknown>) => Promise<void>,
): Promise<void> {
  using folder = tempFolder();
  await using store = new SqliteStore(join(folder.path, "c.db"), silentLog);
  await store.run(
    `INSERT INTO runs (seq, run_id, type, session_id, prompt, execution_mode, status, created_at)
     VALUES (1, 'run_1', 'start_session', 'ses_1', '', 'sync', ?, '')`,
    status,
  );
  await body(store, () => store.db.query<Record<string, unknown>, []>("SELECT * FROM runs").get() ?? {});
}

describe("move", () => {
  test("sets the status and its columns", async () => {
    await withRun("pending", async (store, row) => {
      await move(store, { seq: 1, status: "pending" }, "claimed", CLAIM);
      expect(row()).toMatchObject({ status: "claimed", waiting_for: null, ...CLAIM });
      await move(store, { seq: 1, status: "claimed" }, "pending", {});
      expect(row()).toMatchObject({ status: "pending", runner_id: null, claimed_at: null, lease_until: null });
    });
  });

  test.each([
    ["pending", "completed"],
    ["pending", "stopping"],
    ["stopping", "running"],
    ["completed", "failed"],
    ["failed", "failed"],
  ] as const)("%s to %s is refused and changes nothing", async (from, to) => {
    await withRun(from, async (store, row) => {
      const attempt = move(store, { seq: 1, status: from }, to, { ...CLAIM, ...END, started_at: null });
      await expect(attempt).rejects.toThrow(`Run cannot become ${to}: it is ${from}`);
      expect(row()).toMatchObject({ status: from, completed_at: null });
    });
  });

  test("of a stale row throws and changes nothing", async () => {
    await withRun("running", async (store, row) => {
      await expect(move(store, { seq: 1, status: "pending" }, "claimed", CLAIM)).rejects.toThrow("no longer pending");
      expect(row()).toMatchObject({ status: "running", runner_id: null });
    });
  });

  test("is the only writer of a run's status", () => {
    const folder = join(import.meta.dir, "../../../src/coordinator");
    const writesStatus = /\bUPDATE\s+runs\s+SET\b(?:(?!\bWHERE\b)[^;])*?\bstatus\s*=/i;
    const writers = [...new Bun.Glob("**/*.ts").scanSync({ cwd: folder })].filter((file) =>
      writesStatus.test(readFileSync(join(folder, file), "utf8")),
    );
    expect(writers).toEqual(["runs/run-status.ts"]);
  });
});
