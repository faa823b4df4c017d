import { Database } from "bun:sqlite";

interface Filling {
  /** Ended runs, each with a session and two events. */
  readonly ended: number;
  /** Pending runs: of ten, four demand an unavailable tag, three are scheduled, and three wait for their turn. */
  readonly pending: number;
}

const BATCH = 50_000;
const FAR = "2099-01-01T00:00:00.000Z";
const PROMPT = "A prompt with the length of a short prompt.";
/** Unique ids in random order, as real ones: inserts in ascending order would make the index too fast. */
const ID = "printf('%012x', (i * 7046029254387) & 0xffffffffffff)";

/** Fills the database of a stopped coordinator with the runs of a long life. */
export function fillDatabase(path: string, { ended, pending }: Filling): void {
  const db = new Database(path, { strict: true });
  try {
    db.run("PRAGMA synchronous = OFF");
    inBatches(db, ended, fillEnded);
    if (pending > 0) {
      // The runs that wait for their turn wait for this run.
      db.run(`INSERT INTO sessions (session_id, status, created_at) VALUES ('ses_long', 'running', '${FAR}')`);
      db.run(
        `INSERT INTO runs (run_id, type, session_id, prompt, execution_mode, status, runner_id, created_at)
         VALUES ('run_long', 'start_session', 'ses_long', 'x', 'sync', 'running', 'lnch_elsewhere', '${FAR}')`,
      );
    }
    inBatches(db, pending, fillPending);
    db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  } finally {
    db.close();
  }
}

function inBatches(db: Database, count: number, fill: (db: Database, numbers: string) => void): void {
  for (let first = 1; first <= count; first += BATCH) {
    const last = Math.min(count, first + BATCH - 1);
    db.transaction(() =>
      fill(db, `WITH RECURSIVE n(i) AS (VALUES (${first}) UNION ALL SELECT i + 1 FROM n WHERE i < ${last})`),
    )();
  }
}

function fillEnded(db: Database, numbers: string): void {
  const now = new Date().toISOString();
  const status = "CASE i % 10 WHEN 0 THEN 'failed' WHEN 1 THEN 'stopped' ELSE 'completed' END";
  db.run(
    `${numbers} INSERT INTO sessions (session_id, status, created_at, execution_mode)
     SELECT 'ses_' || ${ID}, 'finished', '${now}', 'sync' FROM n`,
  );
  db.run(
    `${numbers} INSERT INTO runs
       (run_id, type, session_id, prompt, execution_mode, status, runner_id,
        created_at, claimed_at, started_at, completed_at)
     SELECT 'run_' || ${ID}, 'start_session', 'ses_' || ${ID}, '${PROMPT}', 'sync', ${status}, 'lnch_' || (i % 20),
       '${now}', '${now}', '${now}', '${now}' FROM n`,
  );
  for (const isAnswer of [0, 1]) {
    db.run(
      `${numbers} INSERT INTO events (session_id, is_answer, body)
       SELECT 'ses_' || ${ID}, ${isAnswer}, json_object('event_type', 'message', 'session_id', 'ses_' || ${ID},
         'role', 'assistant', 'content', json('[]')) FROM n`,
    );
  }
}

function fillPending(db: Database, numbers: string): void {
  const waitingFor = "CASE WHEN i % 10 < 4 THEN 'runner' WHEN i % 10 < 7 THEN 'time' ELSE 'turn' END";
  const session = `CASE WHEN i % 10 < 7 THEN 'ses_p' || ${ID} ELSE 'ses_long' END`;
  db.run(
    `${numbers} INSERT INTO sessions (session_id, status, created_at)
     SELECT 'ses_p' || ${ID}, 'pending', '${FAR}' FROM n WHERE i % 10 < 7`,
  );
  db.run(
    `${numbers} INSERT INTO runs
       (run_id, type, session_id, prompt, execution_mode, status, created_at,
        waiting_for, demands, timeout_at, not_before)
     SELECT 'run_p' || ${ID}, 'start_session', ${session}, '${PROMPT}', 'sync', 'pending', '${FAR}', ${waitingFor},
       CASE WHEN i % 10 < 4 THEN '{"tags":["tag-' || (i % 50) || '"]}' END, CASE WHEN i % 10 < 4 THEN '${FAR}' END,
       CASE WHEN i % 10 BETWEEN 4 AND 6 THEN '${FAR}' END FROM n`,
  );
}
