import type { AuditEntry } from "../../../protocol/access/tokens.ts";
import type { Caller } from "../../store/caller.ts";
import { AUDIT_ROWS } from "../../store/schema.ts";
import { isoTime } from "../../store/clock.ts";
import type { Store } from "../../store/store.ts";

/** Old rows are deleted this many at a time. */
const TRIM_EVERY = 1_000;

/**
 * Who changed what, newest first. Triggers of the database refuse a change of a row, and the deletion of one of the
 * newest `AUDIT_ROWS`.
 */
export class Audit {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async add({ name, role, address }: Caller, action: string, subject: string | null): Promise<void> {
    await this.#store.write(async () => {
      const row = await this.#store.get<{ seq: number }>(
        "INSERT INTO audit (at, token, role, address, action, subject) VALUES (?, ?, ?, ?, ?, ?) RETURNING seq",
        isoTime(),
        name,
        role,
        address,
        action,
        subject,
      );
      const seq = row?.seq ?? 0;
      if (seq % TRIM_EVERY === 0) await this.#store.run("DELETE FROM audit WHERE seq <= ?", seq - AUDIT_ROWS);
    });
  }

  /** At most `limit` entries, older than the entry `before`. */
  newest(limit: number, before: number | null): Promise<AuditEntry[]> {
    return this.#store.all<AuditEntry>(
      "SELECT * FROM audit WHERE seq < ? ORDER BY seq DESC LIMIT ?",
      before ?? Number.MAX_SAFE_INTEGER,
      limit,
    );
  }
}
