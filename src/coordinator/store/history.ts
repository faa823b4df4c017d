import type { Moment } from "../../protocol/runner.ts";
import { isoTime } from "./clock.ts";
import type { Store } from "./store.ts";

/**
 * The database's own history, by which a restored backup is noticed. Each process of the coordinator begins an epoch;
 * each change of a run's status counts one move. A runner that knows an epoch, or a move of an epoch, that is not in
 * this history has seen a later state of the database.
 */
export class History {
  readonly #store: Store;
  readonly epoch: string = crypto.randomUUID();

  private constructor(store: Store) {
    this.#store = store;
  }

  /** Begins an epoch. */
  static async begin(store: Store): Promise<History> {
    const history = new History(store);
    await store.write(async () => {
      await store.run(
        "INSERT INTO epochs (epoch, first_move, started_at) VALUES (?, ?, ?)",
        history.epoch,
        await history.#moves(),
        isoTime(),
      );
      // Ten thousand starts: more than happen during any runner's absence.
      await store.run("DELETE FROM epochs WHERE seq <= (SELECT max(seq) FROM epochs) - 10000");
    });
    return history;
  }

  /** The present moment. */
  async now(): Promise<Moment> {
    return { epoch: this.epoch, moves: await this.#moves() };
  }

  /** Whether the moment lies in this history. A moment that does not was seen before a backup was restored. */
  async has({ epoch, moves }: Moment): Promise<boolean> {
    const row = await this.#store.get<{ seq: number }>("SELECT seq FROM epochs WHERE epoch = ?", epoch);
    if (row === null) return false;
    const next = await this.#store.get<{ first_move: number }>(
      "SELECT first_move FROM epochs WHERE seq > ? ORDER BY seq LIMIT 1",
      row.seq,
    );
    return moves <= (next?.first_move ?? (await this.#moves()));
  }

  async #moves(): Promise<number> {
    const row = await this.#store.get<{ value: number }>("SELECT value FROM counters WHERE name = 'moves'");
    return row?.value ?? 0;
  }
}
