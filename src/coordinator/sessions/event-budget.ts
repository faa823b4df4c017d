import type { SessionEvent } from "../../protocol/session.ts";
import { AT_HEAD } from "../store/schema.ts";
import { steadyMs } from "../store/clock.ts";
import type { Store } from "../store/store.ts";

/** Events of a run per second, after the first ones. */
const RATE = 200;
const BURST = 2_000;
/** What a row takes besides its text. */
const ROW_BYTES = 512;
/** A run's ending and usage must get through when its other events have filled its budget. */
const RESERVE = 1.25;
const VITAL_TYPES: ReadonlySet<string> = new Set(["message", "result", "usage", "session_stop", "ending"]);

interface Spent {
  readonly run_seq: number;
  readonly bytes: number | null;
  readonly dropped: number | null;
}

interface Pace {
  readonly tokens: number;
  readonly atMs: number;
}

/** `first`: the run's first dropped event, with the reason for people. */
export type Admission = { readonly kind: "stored" | "dropped" } | { readonly kind: "first"; readonly reason: string };

/**
 * Bounds what the events of one run take: their total size, and their rate. What is beyond is dropped and counted. The
 * events that say how a run ends have no rate and a reserve of size.
 */
export class EventBudget {
  readonly #store: Store;
  readonly #mostBytes: number;
  readonly #now: () => number;
  /** By the run's number; lost in a restart, which allows one more burst. */
  readonly #paces = new Map<number, Pace>();

  /** `mostBytes` 0: no limits. */
  constructor(store: Store, mostBytes: number, now: () => number = steadyMs) {
    this.#store = store;
    this.#mostBytes = mostBytes;
    this.#now = now;
  }

  /** Call in the transaction that stores the event. Outside of a run nothing is bounded: no executor has a token. */
  async admit(
    { session_id, event_type }: Pick<SessionEvent, "session_id" | "event_type">,
    textBytes: number,
  ): Promise<Admission> {
    if (this.#mostBytes === 0) return { kind: "stored" };
    const spent = await this.#store.get<Spent>(
      `SELECT runs.seq AS run_seq, bytes, dropped FROM runs LEFT JOIN run_events ON run_seq = runs.seq
         WHERE session_id = ? AND ${AT_HEAD} AND waiting_for IS NULL`,
      session_id,
    );
    if (spent === null) return { kind: "stored" };
    const bytes = textBytes + ROW_BYTES;
    const reason = this.#refusal(spent, VITAL_TYPES.has(event_type), bytes);
    if (spent.bytes === null)
      await this.#store.run("INSERT INTO run_events (run_seq, bytes) VALUES (?, 0)", spent.run_seq);
    await this.#store.run(
      "UPDATE run_events SET bytes = bytes + ?, dropped = dropped + ? WHERE run_seq = ?",
      reason === null ? bytes : 0,
      reason === null ? 0 : 1,
      spent.run_seq,
    );
    if (reason === null) return { kind: "stored" };
    return (spent.dropped ?? 0) === 0 ? { kind: "first", reason } : { kind: "dropped" };
  }

  #refusal({ run_seq, bytes: before }: Spent, isVital: boolean, bytes: number): string | null {
    const most = this.#mostBytes * (isVital ? RESERVE : 1);
    if ((before ?? 0) + bytes > most)
      return `the run has sent events of ${Math.floor(this.#mostBytes / 1024 ** 2)} MiB (coordinator.events_limit)`;
    if (isVital || this.#hasToken(run_seq)) return null;
    return `the run sends more than ${RATE} events a second`;
  }

  /** Takes one after the commit. */
  #hasToken(run: number): boolean {
    const atMs = this.#now();
    const pace = this.#paces.get(run) ?? { tokens: BURST, atMs };
    const tokens = Math.min(BURST, pace.tokens + ((atMs - pace.atMs) / 1_000) * RATE);
    const left = tokens < 1 ? tokens : tokens - 1;
    this.#store.afterCommit(() => this.#setPace(run, { tokens: left, atMs }));
    return tokens >= 1;
  }

  #setPace(run: number, pace: Pace): void {
    // The newest last: the first ones are those that were silent for longest.
    this.#paces.delete(run);
    this.#paces.set(run, pace);
    const [oldest] = this.#paces;
    if (oldest !== undefined && pace.atMs - oldest[1].atMs > (BURST / RATE) * 1_000) this.#paces.delete(oldest[0]);
  }
}
