import { statSync } from "node:fs";
import * as v from "valibot";
import { describeMs } from "../../async/describe-ms.ts";
import { describeError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { runTool } from "../../process/run-tool.ts";
import type { Finding } from "./check-database.ts";
import type { SqliteStore } from "./sqlite-store.ts";

export interface BackgroundCheckOptions {
  readonly store: Pick<SqliteStore, "freeze" | "health">;
  readonly path: string;
  /** The words that start this program. */
  readonly selfCommand: readonly string[];
  readonly log: Log;
}

/** The hidden command of this program, see `checkInThisProcess`. */
const CHECK_COMMAND = "check-database";
/** The WAL grows during a check. A later checkpoint of more than this would hold up requests for a second. */
const LONGEST_WAL_BYTES = 128 * 1024 * 1024;
const WATCH_EVERY_MS = 1_000;

const FindingText = v.pipe(
  v.string(),
  v.parseJson(),
  v.variant("kind", [
    v.object({ kind: v.literal("sound") }),
    v.object({ kind: v.literal("damaged"), what: v.string() }),
    v.object({ kind: v.literal("unchecked"), busy: v.boolean(), why: v.string() }),
  ]),
);

/**
 * Checks a database that is in use, in another process. Requests go on: their writes stay in the WAL meanwhile, so the
 * file does not change under the check. Damage becomes a fault of the store.
 */
export class BackgroundCheck implements Disposable {
  readonly #options: BackgroundCheckOptions;
  readonly #disposed = new AbortController();
  /** Resolves when the check is through; never rejects. */
  readonly done: Promise<void>;

  constructor(options: BackgroundCheckOptions) {
    this.#options = options;
    this.done = this.#check();
  }

  [Symbol.dispose](): void {
    this.#disposed.abort();
  }

  async #check(): Promise<void> {
    const { store, path, log } = this.#options;
    const sinceMs = performance.now();
    const finding = await this.#frozen().catch((error: unknown): Finding => ({
      kind: "unchecked",
      busy: false,
      why: describeError(error),
    }));
    if (this.#disposed.signal.aborted) return;
    switch (finding.kind) {
      case "sound":
        return log.info(`Checked the database in ${describeMs(performance.now() - sinceMs)}: no damage`);
      case "damaged":
        return store.health.foundDamage(finding.what);
      case "unchecked":
        return log.warn(
          `The database ${path} was not checked: ${finding.why}. ` +
            "To check it, stop the coordinator and run agent-runner doctor",
        );
    }
  }

  async #frozen(): Promise<Finding> {
    const { store } = this.#options;
    const frozen = await store.freeze();
    try {
      const finding = await this.#inChild();
      // A checkpoint after a failed flush writes into the file under the check, which may then see half of it.
      if (finding.kind === "sound" || frozen.isStill()) return finding;
      return { kind: "unchecked", busy: false, why: "the disk reported an error meanwhile" };
    } finally {
      if (!this.#disposed.signal.aborted) frozen.release();
    }
  }

  async #inChild(): Promise<Finding> {
    const { path, selfCommand } = this.#options;
    const tooMuch = new AbortController();
    const timer = setInterval(() => {
      if ((statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > LONGEST_WAL_BYTES) tooMuch.abort();
    }, WATCH_EVERY_MS);
    try {
      const signal = AbortSignal.any([this.#disposed.signal, tooMuch.signal]);
      const end = await runTool([...selfCommand, CHECK_COMMAND, path], { show: false, signal });
      if (tooMuch.signal.aborted) return unchecked("too much was written meanwhile");
      if (end.kind === "missing") return unchecked(end.why);
      const parsed = v.safeParse(FindingText, end.output);
      return parsed.success ? parsed.output : unchecked(`its process ended with code ${end.code}`);
    } finally {
      clearInterval(timer);
    }
  }
}

function unchecked(why: string): Finding {
  return { kind: "unchecked", busy: false, why };
}
