import type { Database } from "bun:sqlite";
import * as v from "valibot";
import type { Activity } from "../../gateway/grant.ts";
import { describeError, UserError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { ProcessIdentity } from "../../process/adopt.ts";
import { type Flush, GroupSync } from "../../process/group-sync.ts";
import type { AssignedRun } from "../../protocol/poll.ts";
import { Moment } from "../../protocol/runner.ts";
import { openJournalDatabase } from "./journal-database.ts";
import {
  ActivityEntry,
  AssignedEntry,
  assignedEntry,
  CancelEntry,
  IdentityEntry,
  OutcomeEntry,
  outcomeEntry,
} from "./journal-entries.ts";
import type { CancelReason, Outcome } from "../runs/outcome.ts";

/*
 * What the journal records before which step, so that a runner can be killed at any moment, loses no run and executes
 * none twice:
 *
 * - The claim: no record. The coordinator has it. A run that is claimed for this runner but not in the journal has not
 *   begun.
 * - `starting` before the report `started`. The next process may begin a run that the coordinator shows as running only
 *   if it knows that no process has spawned the run.
 * - `spawning` before the spawn. From here on a run is executed again only if its executor has certainly not begun
 *   (start-mark.ts). The run's folder has a copy of the record, to rebuild a lost journal (run-record.ts).
 * - The pid, with its start time and the boot id, after the spawn. Until then AGENT_RUN_ID in the environment
 *   identifies the process.
 * - The reason of a stop before the first signal. The exit status alone does not distinguish a stop from a crash.
 * - The events of the executor (message, `session_stop`) after the coordinator acknowledged them.
 * - The outcome before its report, and `reported` after the acknowledgement.
 * - `done` after the scan for leftovers, which follows the report of a run that ended by itself.
 *
 * Every record outlives the process: the operating system has it. Two also outlive a power cut before the next step,
 * because the coordinator will know of that step: `starting` before the report `started`, and the outcome before its
 * report. Otherwise a run would be `running` there and unknown here, or an outcome told and forgotten. SQLite does not
 * wait for the disk (`synchronous = NORMAL` in WAL mode). `durable` does: one flush in a thread serves all runs. The
 * other records reach the disk with the next flush or checkpoint. After a power cut no executor is left to adopt, and a
 * run that the coordinator shows as running is not begun again (`beginBoot`): its start mark may be lost, too.
 *
 * A full disk refuses a record or a flush. Before the spawn the run waits until the record is on the disk. After the
 * spawn nothing waits: the write is queued, and retried before the next one or as soon as there is room. If the runner
 * dies with writes in the queue, the next process finds the executor by its mark or its status file. It asks the
 * coordinator before it reports an end that it has not seen.
 */

export type Phase = "starting" | "spawning" | "running" | "ended" | "reported" | "done";

/** A run that an earlier process of this runner has not completed. */
export interface JournalRun {
  readonly assigned: AssignedRun;
  readonly phase: Phase;
  readonly token: string;
  readonly identity: ProcessIdentity | null;
  readonly cancel: CancelReason | null;
  readonly activity: Activity | null;
  readonly outcome: Outcome | null;
}

/** The number of done runs to keep, so that the runner recognises a second delivery. */
const KEPT_DONE = 10_000;
const KEEP_MS = 14 * 86_400_000;
/** Earlier processes of this runner whose registration may still stand at the coordinator. */
const KEPT_INSTANCES = 20;
/** Prunes after this number of done runs: each prune scans all of them. */
const PRUNE_EVERY = 1_000;

/** The runner's memory of its runs, which survives a kill: one SQLite file in the state folder. */
export class Journal implements Disposable {
  readonly #db: Database;
  /** Called whenever a record cannot be written. */
  onFault: (error: unknown) => void = () => {};
  /** How long outcomes are kept: as long as a restored backup of the coordinator may be old. */
  keepMs = KEEP_MS;
  #seen: Moment | null = null;
  /** The runs done since the journal was opened. */
  #doneCount = 0;
  /** Writes to retry, in order. The key names the fact: a later write of the same fact replaces the earlier one. */
  readonly #queued = new Map<string, () => void>();
  readonly #sync: GroupSync;
  /** A flush failed: the operating system may have dropped the pages, although it counts them as written. */
  #isFlushInDoubt = false;

  private constructor(db: Database, sync: GroupSync) {
    this.#db = db;
    this.#sync = sync;
  }

  /** Throws a UserError if the file cannot be opened (see `openJournalDatabase`). */
  static open(path: string, log: Log, toDisk?: Flush): Journal {
    const db = openJournalDatabase(path, log);
    try {
      return new Journal(db, new GroupSync(`${path}-wal`, toDisk));
    } catch (error) {
      db.close();
      throw new UserError(`The journal ${path} cannot be opened: ${describeError(error)}`, { cause: error });
    }
  }

  /** Throws if the record cannot be written. */
  starting(assigned: AssignedRun, token: string): void {
    const query =
      "INSERT OR REPLACE INTO runs (run_id, phase, assigned, token, changed_ms) VALUES (?, 'starting', ?, ?, ?)";
    this.#now(() => this.#run(query, assigned.runId, JSON.stringify(assignedEntry(assigned)), token, Date.now()));
  }

  /** The run has another token from now on. */
  renewed(runId: string, token: string): void {
    this.#soon(`token ${runId}`, () => this.#set(runId, "token = ?", token));
  }

  /** Throws if the record cannot be written. */
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
    // A copy: the caller changes the object.
    const entry = JSON.stringify(activity);
    this.#soon(`activity ${runId}`, () => this.#set(runId, "activity = ?", entry));
  }

  ended(runId: string, outcome: Outcome): void {
    const entry = JSON.stringify(outcomeEntry(outcome));
    this.#soon(`outcome ${runId}`, () => this.#set(runId, "phase = 'ended', outcome = ?", entry));
  }

  /** The report is acknowledged. Only the scan for leftovers is outstanding. */
  reported(runId: string): void {
    this.#soon(`reported ${runId}`, () => this.#set(runId, "phase = 'reported', activity = NULL, cancel = NULL"));
  }

  done(runId: string): void {
    this.#soon(`done ${runId}`, () => this.#set(runId, "phase = 'done', activity = NULL, cancel = NULL"));
    if (++this.#doneCount % PRUNE_EVERY === 0) this.prune();
  }

  /** The run belongs to the coordinator again. */
  forget(runId: string): void {
    this.#soon(`done ${runId}`, () => this.#run("DELETE FROM runs WHERE run_id = ?", runId));
  }

  /** The runs that are not done, oldest first. Logs and skips an invalid record. */
  unfinished(log: Log): JournalRun[] {
    const rows = this.#db.query<JournalRow, []>("SELECT * FROM runs WHERE phase <> 'done' ORDER BY changed_ms").all();
    return rows.flatMap((row) => {
      const run = parseRow(row);
      if (run === null) log.error(`The journal's record of run ${row.run_id} is invalid`, { run: row.run_id });
      return run === null ? [] : [run];
    });
  }

  /** The ids of the done runs, oldest first. */
  doneIds(): string[] {
    const rows = this.#db
      .query<{ run_id: string }, []>("SELECT run_id FROM runs WHERE phase = 'done' ORDER BY changed_ms")
      .all();
    return rows.map((row) => row.run_id);
  }

  /** Deletes runs that ended longer ago than `keepMs`, but never the newest ones: a clock may have jumped. */
  prune(): void {
    const newest = "SELECT run_id FROM runs WHERE phase = 'done' ORDER BY changed_ms DESC LIMIT ?";
    this.#soon("prune", () =>
      this.#run(
        `DELETE FROM runs WHERE phase = 'done' AND changed_ms < ? AND run_id NOT IN (${newest})`,
        Date.now() - this.keepMs,
        KEPT_DONE,
      ),
    );
  }

  /** How the run ended here; null if it has not, or is not known. */
  outcomeOf(runId: string): Outcome | null {
    const query = "SELECT outcome FROM runs WHERE run_id = ? AND phase IN ('ended', 'reported', 'done')";
    const row = this.#db.query<{ outcome: string | null }, [string]>(query).get(runId);
    return parse(OutcomeEntry, row?.outcome ?? null);
  }

  /** Whether the run is through: nothing about it is outstanding. */
  isDone(runId: string): boolean {
    return this.#db.query("SELECT 1 FROM runs WHERE run_id = ? AND phase = 'done'").get(runId) !== null;
  }

  /** Whether the run is on record, ended or not. */
  isHere(runId: string): boolean {
    return this.#db.query("SELECT 1 FROM runs WHERE run_id = ?").get(runId) !== null;
  }

  get gatewayPort(): number | null {
    const port = this.#setting("gateway_port");
    return port === null ? null : Number(port);
  }

  set gatewayPort(port: number) {
    if (this.gatewayPort === port) return;
    this.#soon("port", () => this.#keep("gateway_port", String(port)));
  }

  /** The latest moment of the coordinator that this runner knows. A coordinator that is behind it was restored. */
  get seen(): Moment | null {
    return (this.#seen ??= parse(Moment, this.#setting("seen")));
  }

  set seen(moment: Moment | null) {
    if (moment === null) return;
    if (this.seen?.epoch === moment.epoch && this.seen.moves >= moment.moves) return;
    this.#seen = moment;
    this.#soon("seen", () => this.#keep("seen", JSON.stringify(moment)));
  }

  /** Records the id of this process and returns those of earlier ones, which are dead: the newest first. */
  beginInstance(instanceId: string): string[] {
    const earlier = parse(v.array(v.string()), this.#setting("instances")) ?? [];
    const instances = JSON.stringify([instanceId, ...earlier].slice(0, KEPT_INSTANCES));
    // Written with the next record: a full disk must not close the intake, and so hold up the adoption of executors.
    this.#queued.set("instances", () => this.#keep("instances", instances));
    return earlier;
  }

  /** Records the boot of the machine. False: an earlier process of this runner wrote the journal before a reboot. */
  beginBoot(bootId: string): boolean {
    const earlier = this.#setting("boot");
    // Written with the next record, as the instances are.
    this.#queued.set("boot", () => this.#keep("boot", bootId));
    return earlier === null || earlier === bootId;
  }

  #setting(name: string): string | null {
    return (
      this.#db.query<{ value: string }, [string]>("SELECT value FROM settings WHERE name = ?").get(name)?.value ?? null
    );
  }

  #keep(name: string, value: string): void {
    this.#run("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", name, value);
  }

  /** Resolves when every record that is not queued survives a power cut. Rejects where the disk cannot take them. */
  async durable(): Promise<void> {
    try {
      this.#repairFlush();
      await this.#sync.synced();
    } catch (error) {
      this.#isFlushInDoubt = true;
      this.onFault(error);
      throw error;
    }
  }

  /** The next flush would succeed without the lost pages: writes them again, into the file itself. */
  #repairFlush(): void {
    if (this.#isFlushInDoubt) this.#db.run("PRAGMA wal_checkpoint(TRUNCATE)");
    this.#isFlushInDoubt = false;
  }

  /** Writes the queue. Throws at the first failure, and keeps the rest. */
  flush(): void {
    for (const [fact, write] of this.#queued) {
      write();
      this.#queued.delete(fact);
    }
  }

  /** Throws if the file cannot be written. */
  requireRoom(): void {
    this.flush();
    this.#repairFlush();
    this.#keep("probe", String(Date.now()));
  }

  [Symbol.dispose](): void {
    try {
      this.flush();
    } catch {
      // `onFault` has reported the failure already.
    }
    this.#sync[Symbol.dispose]();
    this.#db.close();
  }

  #now(write: () => void): void {
    try {
      this.flush();
      write();
    } catch (error) {
      this.onFault(error);
      throw error;
    }
  }

  #soon(fact: string, write: () => void): void {
    this.#queued.delete(fact);
    this.#queued.set(fact, write);
    try {
      this.flush();
    } catch (error) {
      this.onFault(error);
    }
  }

  #set(runId: string, change: string, ...values: (string | null)[]): void {
    this.#run(`UPDATE runs SET ${change}, changed_ms = ? WHERE run_id = ?`, ...values, Date.now(), runId);
  }

  #run(query: string, ...values: (string | number | null)[]): void {
    this.#db.query(query).run(...values);
    this.#sync.written();
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
