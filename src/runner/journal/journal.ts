import type { Database } from "bun:sqlite";
import * as v from "valibot";
import type { Activity } from "../../gateway/grant.ts";
import type { Log } from "../../log.ts";
import type { ProcessIdentity } from "../../process/adopt.ts";
import type { AssignedRun } from "../../protocol/poll.ts";
import { openJournalDatabase } from "./journal-database.ts";
import {
  ActivityEntry,
  AssignedEntry,
  assignedEntry,
  CancelEntry,
  IdentityEntry,
  OutcomeEntry,
} from "./journal-entries.ts";
import { type CancelReason, type Outcome, recordedKind } from "../runs/outcome.ts";

/*
 * What has to be on record before which step, so that a runner that is killed at any moment loses nothing and does nothing twice:
 *
 * - the claim: nothing. The coordinator has it on record; a run that it shows as claimed by us and that is not in here was never begun
 * - `starting` before the report `started`: a run that the coordinator shows as running may be begun by the next runner only if it is
 *   known that this one had not spawned yet
 * - `spawning` before the spawn: from here on the run is executed again only if its executor has certainly not begun (start-mark.ts). The
 *   same is on record in the run's own folder (`run-record.ts`), from which a journal that is lost is made anew
 * - the pid with its start time and boot id after the spawn; until then the process is found by the run's mark in its environment
 * - the reason of a stop before the first signal: the exit status alone does not tell a stop from a crash
 * - what the executor has sent (message, `session_stop`) after the coordinator acknowledged it
 * - the outcome before its report; the acknowledgement after it (`reported`)
 * - that nothing is left of a run that ended by itself after the look at what it left behind, which comes after the report (`done`)
 *
 * A record has to outlive the process, not the machine: after a power cut no executor is left that it could be about, and before an
 * outcome is made up ("vanished") the coordinator is asked what it knows. So the database does without an fsync a step
 * (`synchronous = NORMAL` in WAL mode), which would cost more than the rest of a dispatch.
 *
 * A record that cannot be written (a full disk): before the spawn it holds up the run, nothing of which is begun. After the spawn it holds
 * up nothing: the runner goes on with what it knows, the record is owed and written before the next one or as soon as there is room. A
 * runner that dies owing one finds the executor by its mark or its status file, and asks the coordinator before it reports an end that it
 * has not seen itself.
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

/** So many runs that are through are remembered, so that one delivered again is known. */
const KEPT_DONE = 10_000;
/** What is beyond is dropped now and then: each time it costs a look through all of them. */
const PRUNE_EVERY = 1_000;

/** The runner's memory across its own death: one SQLite file in the state folder. */
export class Journal implements Disposable {
  readonly #db: Database;
  /** Called whenever a record cannot be written. */
  onFault: (error: unknown) => void = () => {};
  /** So many runs have come to their end since it was opened. */
  #through = 0;
  /** Records that could not be written yet, in their order, one for each thing that is said of a run. */
  readonly #owed = new Map<string, () => void>();

  private constructor(db: Database) {
    this.#db = db;
  }

  /** Throws a UserError if the file cannot be opened (see `openJournalDatabase`). */
  static open(path: string, log: Log): Journal {
    return new Journal(openJournalDatabase(path, log));
  }

  /** Throws where it cannot be recorded. */
  starting(assigned: AssignedRun, token: string): void {
    const query =
      "INSERT OR REPLACE INTO runs (run_id, phase, assigned, token, changed_ms) VALUES (?, 'starting', ?, ?, ?)";
    this.#now(() => this.#run(query, assigned.runId, JSON.stringify(assignedEntry(assigned)), token, Date.now()));
  }

  /** Throws where it cannot be recorded. */
  spawning(runId: string): void {
    this.#now(() => this.#set(runId, "phase = 'spawning'"));
  }

  notSpawned(runId: string): void {
    this.#soon(`phase ${runId}`, () => this.#set(runId, "phase = 'starting'"));
  }

  running(runId: string, identity: ProcessIdentity | null): void {
    this.#soon(`phase ${runId}`, () =>
      this.#set(runId, "phase = 'running', identity = ?", identity === null ? null : JSON.stringify(identity)),
    );
  }

  cancelled(runId: string, reason: CancelReason): void {
    this.#soon(`cancel ${runId}`, () => this.#set(runId, "cancel = ?", JSON.stringify(reason)));
  }

  active(runId: string, activity: Activity): void {
    // As it is now: the object goes on changing.
    const entry = JSON.stringify(activity);
    this.#soon(`activity ${runId}`, () => this.#set(runId, "activity = ?", entry));
  }

  ended(runId: string, outcome: Outcome): void {
    const entry = JSON.stringify({ ...outcome, kind: recordedKind(outcome.kind) });
    this.#soon(`outcome ${runId}`, () => this.#set(runId, "phase = 'ended', outcome = ?", entry));
  }

  /** Only the look at what the run left behind is outstanding. */
  reported(runId: string): void {
    this.#soon(`reported ${runId}`, () => this.#set(runId, "phase = 'reported', activity = NULL, cancel = NULL"));
  }

  done(runId: string): void {
    this.#soon(`done ${runId}`, () => this.#set(runId, "phase = 'done', activity = NULL, cancel = NULL"));
    if (++this.#through % PRUNE_EVERY === 0) this.prune();
  }

  /** The claim is the coordinator's again. */
  forget(runId: string): void {
    this.#soon(`done ${runId}`, () => this.#run("DELETE FROM runs WHERE run_id = ?", runId));
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
    const rows = this.#db
      .query<{ run_id: string }, []>("SELECT run_id FROM runs WHERE phase = 'done' ORDER BY changed_ms")
      .all();
    return rows.map((row) => row.run_id);
  }

  /** Drops what is long through. */
  prune(): void {
    const through = "SELECT run_id FROM runs WHERE phase = 'done' ORDER BY changed_ms DESC LIMIT ?";
    this.#soon("prune", () =>
      this.#run(`DELETE FROM runs WHERE phase = 'done' AND run_id NOT IN (${through})`, KEPT_DONE),
    );
  }

  get gatewayPort(): number | null {
    const row = this.#db.query<{ value: string }, []>("SELECT value FROM settings WHERE name = 'gateway_port'").get();
    return row === null ? null : Number(row.value);
  }

  set gatewayPort(port: number) {
    this.#soon("port", () =>
      this.#run("INSERT OR REPLACE INTO settings (name, value) VALUES ('gateway_port', ?)", String(port)),
    );
  }

  /** Writes what is still to be written; throws, and keeps the rest, where something cannot be. */
  settle(): void {
    for (const [what, write] of this.#owed) {
      write();
      this.#owed.delete(what);
    }
  }

  /** Throws where not even this can be written. */
  requireRoom(): void {
    this.settle();
    this.#run("INSERT OR REPLACE INTO settings (name, value) VALUES ('probe', ?)", String(Date.now()));
  }

  [Symbol.dispose](): void {
    try {
      this.settle();
    } catch {
      // Told when it could not be written first.
    }
    this.#db.close();
  }

  #now(write: () => void): void {
    try {
      this.settle();
      write();
    } catch (error) {
      this.onFault(error);
      throw error;
    }
  }

  #soon(what: string, write: () => void): void {
    this.#owed.delete(what);
    this.#owed.set(what, write);
    try {
      this.settle();
    } catch (error) {
      this.onFault(error);
    }
  }

  #set(runId: string, change: string, ...values: (string | null)[]): void {
    this.#run(`UPDATE runs SET ${change}, changed_ms = ? WHERE run_id = ?`, ...values, Date.now(), runId);
  }

  #run(query: string, ...values: (string | number | null)[]): void {
    this.#db.query(query).run(...values);
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
