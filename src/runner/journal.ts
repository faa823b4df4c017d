import { Database } from "bun:sqlite";
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import * as v from "valibot";
import { describeError } from "../errors.ts";
import type { Activity } from "../gateway/grant.ts";
import type { Log } from "../log.ts";
import type { ProcessIdentity } from "../process/adopt.ts";
import type { AssignedRun } from "../protocol/poll.ts";
import { ActivityEntry, AssignedEntry, CancelEntry, IdentityEntry, OutcomeEntry } from "./journal-entries.ts";
import type { CancelReason, Outcome } from "./outcome.ts";

/*
 * What has to be on record before which step, so that a runner that is killed at any moment loses nothing and does nothing twice:
 *
 * - the claim: nothing. The coordinator has it on record; a run that it shows as claimed by us and that is not in here was never begun
 * - `starting` before the report `started`: a run that the coordinator shows as running may be begun by the next runner only if it is
 *   known that this one had not spawned yet
 * - `spawning` before the spawn: from here on the run is never executed again
 * - the pid with its start time and boot id after the spawn; until then the process is found by the run's mark in its environment
 * - the reason of a stop before the first signal: the exit status alone does not tell a stop from a crash
 * - what the executor has sent (message, `session_stop`) after the coordinator acknowledged it
 * - the outcome before its report; the acknowledgement after it (`reported`)
 * - that nothing is left of a run that ended by itself after the look at what it left behind, which comes after the report (`done`)
 *
 * A record has to outlive the process, not the machine: after a power cut no executor is left that it could be about, and before an
 * outcome is made up ("vanished") the coordinator is asked what it knows. So the database does without an fsync a step
 * (`synchronous = NORMAL` in WAL mode), which would cost more than the rest of a dispatch.
 */

export type Phase = "starting" | "spawning" | "running" | "ended" | "reported" | "done";

/** A run that an earlier start of the runner has not brought to its end. */
export interface JournalRun {
  readonly assigned: AssignedRun;
  readonly phase: Phase;
  readonly token: string;
  readonly identity: ProcessIdentity | null;
  readonly cancel: CancelReason | null;
  readonly activity: Activity | null;
  readonly outcome: Outcome | null;
}

const SCHEMA_VERSION = 1;
/** So many runs that are through are remembered, so that one delivered again is known. */
const KEPT_DONE = 10_000;

const SCHEMA = `
  CREATE TABLE runs (
    run_id TEXT PRIMARY KEY, phase TEXT NOT NULL, assigned TEXT NOT NULL, token TEXT NOT NULL,
    identity TEXT, cancel TEXT, activity TEXT, outcome TEXT, changed_ms INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX runs_open ON runs (changed_ms) WHERE phase <> 'done';
  CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  PRAGMA user_version = ${SCHEMA_VERSION};`;

/** The runner's memory across its own death: one SQLite file in the state folder. */
export class Journal implements Disposable {
  readonly #db: Database;

  private constructor(db: Database) {
    this.#db = db;
  }

  /** Opens the journal; one that is damaged, or of another version, is set aside with a loud message, and an empty one is begun. */
  static open(path: string, log: Log): Journal {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    try {
      return new Journal(openChecked(path));
    } catch (error) {
      const aside = `${path}.set-aside-${Date.now()}`;
      for (const suffix of ["", "-wal", "-shm"]) if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
      log.error(`The journal ${path} cannot be used (${describeError(error)}): set aside as ${aside}; going on without it`);
      return new Journal(openChecked(path));
    }
  }

  starting(assigned: AssignedRun, token: string): void {
    // Prompts stay out of it: an adopted run has been given its prompt.
    const { prompt: _prompt, parameters: _parameters, resolvedBlueprint: _blueprint, ...kept } = assigned;
    this.#db
      .query("INSERT OR REPLACE INTO runs (run_id, phase, assigned, token, changed_ms) VALUES (?, 'starting', ?, ?, ?)")
      .run(assigned.runId, JSON.stringify(kept), token, Date.now());
  }

  spawning(runId: string): void {
    this.#set(runId, "phase = 'spawning'");
  }

  running(runId: string, identity: ProcessIdentity): void {
    this.#set(runId, "phase = 'running', identity = ?", JSON.stringify(identity));
  }

  cancelled(runId: string, reason: CancelReason): void {
    this.#set(runId, "cancel = ?", JSON.stringify(reason));
  }

  active(runId: string, activity: Activity): void {
    this.#set(runId, "activity = ?", JSON.stringify(activity));
  }

  ended(runId: string, outcome: Outcome): void {
    this.#set(runId, "phase = 'ended', outcome = ?", JSON.stringify(outcome));
  }

  /** Only the look at what the run left behind is outstanding. */
  reported(runId: string): void {
    this.#set(runId, "phase = 'reported', activity = NULL, cancel = NULL");
  }

  done(runId: string): void {
    this.#set(runId, "phase = 'done', activity = NULL, cancel = NULL");
  }

  /** The claim is the coordinator's again. */
  forget(runId: string): void {
    this.#db.query("DELETE FROM runs WHERE run_id = ?").run(runId);
  }

  /** Runs that are not through, the oldest first. A row that makes no sense is told and left out. */
  unfinished(log: Log): JournalRun[] {
    const rows = this.#db.query<JournalRow, []>("SELECT * FROM runs WHERE phase <> 'done' ORDER BY changed_ms").all();
    return rows.flatMap((row) => {
      const run = parseRow(row);
      if (run === null) log.error(`The journal's record of run ${row.run_id} makes no sense`, { run: row.run_id });
      return run === null ? [] : [run];
    });
  }

  /** Ids of runs that are through. */
  doneIds(): string[] {
    const rows = this.#db.query<{ run_id: string }, []>("SELECT run_id FROM runs WHERE phase = 'done' ORDER BY changed_ms").all();
    return rows.map((row) => row.run_id);
  }

  /** Drops what is long through. */
  prune(): void {
    this.#db
      .query("DELETE FROM runs WHERE phase = 'done' AND run_id NOT IN (SELECT run_id FROM runs WHERE phase = 'done' ORDER BY changed_ms DESC LIMIT ?)")
      .run(KEPT_DONE);
  }

  get gatewayPort(): number | null {
    const row = this.#db.query<{ value: string }, []>("SELECT value FROM settings WHERE name = 'gateway_port'").get();
    return row === null ? null : Number(row.value);
  }

  set gatewayPort(port: number) {
    this.#db.query("INSERT OR REPLACE INTO settings (name, value) VALUES ('gateway_port', ?)").run(String(port));
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }

  #set(runId: string, change: string, ...values: string[]): void {
    this.#db.query(`UPDATE runs SET ${change}, changed_ms = ? WHERE run_id = ?`).run(...values, Date.now(), runId);
  }
}

interface JournalRow {
  readonly run_id: string;
  readonly phase: Phase;
  readonly assigned: string;
  readonly token: string;
  readonly identity: string | null;
  readonly cancel: string | null;
  readonly activity: string | null;
  readonly outcome: string | null;
}

function openChecked(path: string): Database {
  const db = new Database(path, { create: true });
  try {
    db.run("PRAGMA busy_timeout = 2000");
    db.run("PRAGMA journal_mode = WAL");
    db.run("PRAGMA synchronous = NORMAL");
    const version = db.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version;
    if (version === 0) db.run(SCHEMA);
    else if (version !== SCHEMA_VERSION) throw new Error(`its version is ${version}, this program writes ${SCHEMA_VERSION}`);
    const check = db.query<{ quick_check: string }, []>("PRAGMA quick_check").get()?.quick_check;
    if (check !== "ok") throw new Error(`it is damaged: ${check}`);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function parseRow(row: JournalRow): JournalRun | null {
  const assigned = parse(AssignedEntry, row.assigned);
  if (assigned === null) return null;
  return {
    assigned: { ...assigned, prompt: "", parameters: {}, resolvedBlueprint: undefined },
    phase: row.phase,
    token: row.token,
    identity: parse(IdentityEntry, row.identity),
    cancel: parse(CancelEntry, row.cancel),
    activity: parse(ActivityEntry, row.activity),
    outcome: parse(OutcomeEntry, row.outcome),
  };
}

function parse<S extends v.GenericSchema>(schema: S, text: string | null): v.InferOutput<S> | null {
  if (text === null) return null;
  try {
    return v.parse(schema, JSON.parse(text));
  } catch {
    return null;
  }
}
