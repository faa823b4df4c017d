/** The database's layout. A change of layout raises the version and adds a step to `MIGRATIONS`. */

/** Marks the file as ours, so that a foreign SQLite file is not written into by mistake ("ARco"). */
export const APPLICATION_ID = 0x4152636f;

/**
 * The two kinds of runs that are looked for all the time. The partial indexes below hold only these, so that a million
 * ended runs cost nothing; SQLite uses them only where a query repeats the condition word for word.
 */
export const ACTIVE = "status IN ('claimed','running','stopping')";
export const OPEN = "status IN ('pending','claimed','running','stopping')";

/** Times are ISO 8601 in UTC with milliseconds, so that they compare as text. `seq` is the order of creation. */
const VERSION_1 = `
  CREATE TABLE sessions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    created_at TEXT NOT NULL,
    project_dir TEXT,
    agent_name TEXT,
    last_resumed_at TEXT,
    parent_session_id TEXT,
    executor_session_id TEXT,
    executor_type TEXT,
    hostname TEXT,
    execution_mode TEXT
  ) STRICT;
  CREATE INDEX sessions_by_parent ON sessions(parent_session_id) WHERE parent_session_id IS NOT NULL;

  CREATE TABLE runs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    session_id TEXT NOT NULL,
    agent_name TEXT,
    prompt TEXT NOT NULL,
    project_dir TEXT,
    parent_session_id TEXT,
    execution_mode TEXT NOT NULL,
    demands TEXT,
    status TEXT NOT NULL,
    runner_id TEXT,
    error TEXT,
    created_at TEXT NOT NULL,
    claimed_at TEXT,
    started_at TEXT,
    completed_at TEXT,
    timeout_at TEXT,
    lease_until TEXT,
    session_status_before TEXT,
    events_before INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX runs_pending ON runs(seq) WHERE status = 'pending';
  CREATE INDEX runs_timing_out ON runs(timeout_at) WHERE status = 'pending' AND timeout_at IS NOT NULL;
  CREATE INDEX runs_open ON runs(seq) WHERE ${OPEN};
  CREATE INDEX runs_open_by_session ON runs(session_id, seq) WHERE ${OPEN};
  CREATE INDEX runs_active_by_runner ON runs(runner_id) WHERE ${ACTIVE};
  CREATE INDEX runs_leased ON runs(lease_until) WHERE lease_until IS NOT NULL;
  CREATE INDEX runs_open_by_parent ON runs(parent_session_id) WHERE ${OPEN} AND parent_session_id IS NOT NULL;
  CREATE INDEX runs_by_session ON runs(session_id, seq);

  CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL,
    is_answer INTEGER NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE INDEX events_by_session ON events(session_id, seq);
  CREATE INDEX answers_by_session ON events(session_id, seq) WHERE is_answer = 1;

  CREATE TABLE callbacks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    parent_session_id TEXT NOT NULL,
    child_run_id TEXT NOT NULL UNIQUE,
    child_session_id TEXT NOT NULL,
    status TEXT NOT NULL,
    content TEXT,
    delivered_in TEXT
  ) STRICT;
  CREATE INDEX callbacks_waiting ON callbacks(parent_session_id, seq) WHERE delivered_in IS NULL;

  CREATE TABLE agents (
    name TEXT PRIMARY KEY,
    definition TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at TEXT NOT NULL,
    modified_at TEXT NOT NULL
  ) STRICT;

  CREATE TABLE runners (
    runner_id TEXT PRIMARY KEY,
    hostname TEXT NOT NULL,
    project_dir TEXT NOT NULL,
    executor_type TEXT NOT NULL,
    executor_profile TEXT,
    tags TEXT NOT NULL,
    status TEXT NOT NULL,
    deregistered INTEGER NOT NULL DEFAULT 0,
    registered_at TEXT NOT NULL,
    last_heartbeat TEXT NOT NULL
  ) STRICT;
`;

/** The n-th step leads from version n to n + 1. */
export const MIGRATIONS: readonly string[] = [VERSION_1];
