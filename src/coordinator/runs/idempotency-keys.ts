import { createHash } from "node:crypto";
import { Refusal } from "../store/refusal.ts";
import { isoTime } from "../store/clock.ts";
import type { Store } from "../store/store.ts";

/** The answer to the first request with a key. */
export interface KeptAnswer {
  readonly run_id: string;
  readonly session_id: string;
}

/** How long a key identifies its request. */
const KEPT_FOR_MS = 24 * 3_600_000;

/** The `Idempotency-Key` of `POST /runs`: a client that retries a request with the same key gets the same run. */
export class IdempotencyKeys {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Calls `work` for a new key; returns the stored answer for a known key. One transaction. Refuses: malformed key;
   * invalid if the key was used for another request.
   */
  once(
    key: string,
    request: unknown,
    work: () => Promise<KeptAnswer>,
  ): Promise<{ answer: KeptAnswer; isRepeated: boolean }> {
    if (!/^[\x21-\x7e]{1,255}$/.test(key))
      throw new Refusal("malformed", "Idempotency-Key: expected 1 to 255 printable ASCII characters");
    const fingerprint = createHash("sha256").update(JSON.stringify(request, sorted)).digest("hex");
    return this.#store.write(async () => {
      if (!(await this.#take(key, fingerprint))) {
        const known = await this.#find(key);
        if (known.fingerprint !== fingerprint)
          throw new Refusal("invalid", "This Idempotency-Key was used for another request");
        return { answer: { run_id: known.run_id, session_id: known.session_id }, isRepeated: true };
      }
      const answer = await work();
      await this.#store.run(
        "UPDATE idempotency_keys SET run_id = ?, session_id = ? WHERE key = ?",
        answer.run_id,
        answer.session_id,
        key,
      );
      return { answer, isRepeated: false };
    });
  }

  /**
   * Inserted before the work: of requests with one key that come at once, the others wait here for the first one's
   * commit. False: the key is known.
   */
  async #take(key: string, fingerprint: string): Promise<boolean> {
    const row = await this.#store.get(
      `INSERT INTO idempotency_keys AS k (key, fingerprint, run_id, session_id, created_at) VALUES (?, ?, '', '', ?)
         ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, created_at = excluded.created_at
           WHERE k.created_at <= ? RETURNING key`,
      key,
      fingerprint,
      isoTime(),
      isoTime(-KEPT_FOR_MS),
    );
    return row !== null;
  }

  async #find(key: string): Promise<KeptAnswer & { fingerprint: string }> {
    const row = await this.#store.get<KeptAnswer & { fingerprint: string }>(
      "SELECT fingerprint, run_id, session_id FROM idempotency_keys WHERE key = ?",
      key,
    );
    if (row === null) throw new Error("an idempotency key is known and not there");
    return row;
  }

  /** Deletes up to `most` expired keys; returns how many. */
  async forget(most: number): Promise<number> {
    return (
      await this.#store.run(
        `DELETE FROM idempotency_keys WHERE key IN
           (SELECT key FROM idempotency_keys WHERE created_at <= ? ORDER BY created_at LIMIT ?)`,
        isoTime(-KEPT_FOR_MS),
        most,
      )
    ).changes;
  }
}

/** Sorts fields: their order does not change the meaning of a body. */
function sorted(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
