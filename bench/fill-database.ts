import { Database } from "bun:sqlite";

const BATCH = 50_000;

/** Puts so many ended runs into a coordinator's database, each with its session and two events: what a long life leaves behind. */
export function fillDatabase(path: string, runs: number): void {
  const db = new Database(path, { strict: true });
  try {
    db.run("PRAGMA synchronous = OFF");
    for (let first = 1; first <= runs; first += BATCH) fillBatch(db, first, Math.min(runs, first + BATCH - 1));
    db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  } finally {
    db.close();
  }
}

function fillBatch(db: Database, first: number, last: number): void {
  const numbers = `WITH RECURSIVE n(i) AS (VALUES (${first}) UNION ALL SELECT i + 1 FROM n WHERE i < ${last})`;
  // Each once, and in no order, as real ids are: an index into which is inserted at its end only would be too good.
  const id = "printf('%012x', (i * 7046029254387) & 0xffffffffffff)";
  const now = new Date().toISOString();
  db.transaction(() => {
    db.run(`${numbers} INSERT INTO sessions (session_id, status, created_at, execution_mode) SELECT 'ses_' || ${id}, 'finished', '${now}', 'sync' FROM n`);
    db.run(
      `${numbers} INSERT INTO runs (run_id, type, session_id, prompt, execution_mode, status, created_at, completed_at)
       SELECT 'run_' || ${id}, 'start_session', 'ses_' || ${id}, 'A prompt of the length that a short one has.', 'sync', 'completed', '${now}', '${now}' FROM n`,
    );
    for (const isAnswer of [0, 1]) {
      db.run(
        `${numbers} INSERT INTO events (session_id, is_answer, body)
         SELECT 'ses_' || ${id}, ${isAnswer}, json_object('event_type', 'message', 'session_id', 'ses_' || ${id}, 'role', 'assistant', 'content', 'done') FROM n`,
      );
    }
  })();
}
