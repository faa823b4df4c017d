import { EVENT_BOUNDS } from "./schema-events.ts";
import { TREE_COUNTERS } from "./schema-trees.ts";

/** The database schema. A change of the schema adds a step to `MIGRATIONS`, which raises the version. */

/** Identifies our database files, so that we never write into another program's SQLite file ("ARco"). */
export const APPLICATION_ID = 0x4152636f;

/**
 * The conditions of the partial indexes, which ignore ended runs: a million of them cost nothing. SQLite uses a partial
 * index only if the query repeats the condition word for word.
 */
export const ACTIVE = "status IN ('claimed','running','stopping')";
export const OPEN = "status IN ('pending','claimed','running','stopping')";

/** The run whose turn it is in its session; `runs_at_head` ensures that there is at most one. */
export const AT_HEAD = `(${ACTIVE} OR waiting_for IN ('runner','retry'))`;

export const SET_COUNTER = `
  INSERT INTO counters (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`;

/** The demands of a run as comparable text: runs with equal demands share a queue. */
export const DEMAND_CLASS = "ifnull(demands, '')";

/** Times are ISO 8601 in UTC with milliseconds, so they compare as text. `seq` is the order of creation. */
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

/**
 * Adds priorities, schedules, retries, costs, statistics and idempotency keys. The queue of `waiting_for = 'runner'`
 * replaces `runs_pending`, so a claim reads only claimable runs. Statistics begin with this version. They are stored
 * per hour, so a query never reads the runs.
 */
const VERSION_2 = `
  ALTER TABLE runs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE runs ADD COLUMN waiting_for TEXT;
  ALTER TABLE runs ADD COLUMN not_before TEXT;
  ALTER TABLE runs ADD COLUMN expires_at TEXT;
  ALTER TABLE runs ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1;
  ALTER TABLE runs ADD COLUMN max_attempts INTEGER NOT NULL DEFAULT 1;
  ALTER TABLE runs ADD COLUMN retry_delay_seconds REAL;
  ALTER TABLE runs ADD COLUMN retry_of TEXT;
  ALTER TABLE runs ADD COLUMN retried_by TEXT;
  ALTER TABLE runs ADD COLUMN reason TEXT;
  ALTER TABLE runs ADD COLUMN total_cost_usd REAL;
  ALTER TABLE runs ADD COLUMN num_turns INTEGER;
  ALTER TABLE runs ADD COLUMN input_tokens INTEGER;
  ALTER TABLE runs ADD COLUMN output_tokens INTEGER;

  ALTER TABLE sessions ADD COLUMN total_cost_usd REAL NOT NULL DEFAULT 0;
  ALTER TABLE sessions ADD COLUMN num_turns INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE sessions ADD COLUMN input_tokens INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE sessions ADD COLUMN output_tokens INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE sessions ADD COLUMN run_ms INTEGER NOT NULL DEFAULT 0;

  UPDATE runs SET waiting_for = 'turn' WHERE status = 'pending';
  UPDATE runs SET waiting_for = 'runner' WHERE status = 'pending'
    AND NOT EXISTS (SELECT 1 FROM runs AS r INDEXED BY runs_open_by_session
                    WHERE r.session_id = runs.session_id AND r.${OPEN} AND (r.status <> 'pending' OR r.seq < runs.seq));

  DROP INDEX runs_pending;
  DROP INDEX runs_open;
  DROP INDEX runs_timing_out;
  CREATE UNIQUE INDEX runs_at_head ON runs(session_id) WHERE ${AT_HEAD};
  CREATE INDEX runs_for_runners ON runs(${DEMAND_CLASS}, priority DESC, seq) WHERE waiting_for = 'runner';
  CREATE INDEX runs_in_turn ON runs(session_id, seq) WHERE waiting_for = 'turn';
  CREATE INDEX runs_scheduled ON runs(not_before, waiting_for) WHERE waiting_for IN ('time','retry');
  CREATE INDEX runs_timing_out ON runs(timeout_at) WHERE waiting_for = 'runner' AND timeout_at IS NOT NULL;
  CREATE INDEX runs_expiring ON runs(expires_at) WHERE status = 'pending' AND expires_at IS NOT NULL;
  CREATE INDEX runs_ended ON runs(completed_at) WHERE completed_at IS NOT NULL;
  CREATE INDEX runs_by_status ON runs(status, seq);
  CREATE INDEX runs_by_runner ON runs(runner_id, seq) WHERE runner_id IS NOT NULL;
  CREATE INDEX sessions_by_status ON sessions(status, seq);
  CREATE INDEX sessions_at_top ON sessions(seq) WHERE parent_session_id IS NULL;

  CREATE TABLE run_hours (
    hour TEXT NOT NULL,
    status TEXT NOT NULL,
    runs INTEGER NOT NULL,
    wait_ms INTEGER NOT NULL,
    run_ms INTEGER NOT NULL,
    total_cost_usd REAL NOT NULL,
    PRIMARY KEY (hour, status)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE run_times (
    hour TEXT NOT NULL,
    what TEXT NOT NULL,
    up_to_ms INTEGER NOT NULL,
    runs INTEGER NOT NULL,
    PRIMARY KEY (hour, what, up_to_ms)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE idempotency_keys (
    key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    run_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    created_at TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX idempotency_keys_by_age ON idempotency_keys(created_at);
`;

/** Adds the trace of a run. */
const VERSION_3 = `
  ALTER TABLE runs ADD COLUMN traceparent TEXT;
  ALTER TABLE runs ADD COLUMN tracestate TEXT;
`;

/**
 * For reconciliation: the process of a runner, the late report of a runner that was given up, and the history of the
 * database itself, which shows that a backup was restored.
 */
const VERSION_4 = `
  ALTER TABLE runners ADD COLUMN instance_id TEXT;
  ALTER TABLE runs ADD COLUMN note TEXT;
  CREATE TABLE epochs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    epoch TEXT NOT NULL UNIQUE,
    first_move INTEGER NOT NULL,
    started_at TEXT NOT NULL
  ) STRICT;
  CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO counters (name, value) VALUES ('moves', 0);
`;

/** For runs that a runner gives back, and for runners that registered in the second generation's form. */
const GIVE_BACK = `
  ALTER TABLE runs ADD COLUMN returns INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE runs ADD COLUMN avoid_runner TEXT;
  ALTER TABLE runs ADD COLUMN parameters TEXT;
  ALTER TABLE runners ADD COLUMN generation TEXT NOT NULL DEFAULT 'first';
  ALTER TABLE runners ADD COLUMN require_matching_tags INTEGER NOT NULL DEFAULT 0;
`;

/** How many entries of the audit list are kept. Also in the text of ROLES. */
export const AUDIT_ROWS = 100_000;

/**
 * Tokens with a role, who created, executed and stopped a run, and the list of changes. The triggers make the list
 * append-only for every program that opens the file, but for entries beyond the newest 100,000.
 */
const ROLES = `
  CREATE TABLE tokens (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    created_by TEXT,
    expires_at TEXT
  ) STRICT;

  CREATE TABLE audit (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    token TEXT,
    role TEXT NOT NULL,
    address TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT
  ) STRICT;
  CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit
    WHEN OLD.seq > (SELECT max(seq) FROM audit) - 100000
    BEGIN SELECT RAISE(ABORT, 'the audit list is append-only'); END;
  CREATE TRIGGER audit_changes_no_row BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit list is append-only'); END;
  CREATE TRIGGER audit_replaces_no_row BEFORE INSERT ON audit
    WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq)
    BEGIN SELECT RAISE(ABORT, 'the audit list is append-only'); END;

  ALTER TABLE runs ADD COLUMN created_by TEXT;
  ALTER TABLE runs ADD COLUMN created_from TEXT;
  ALTER TABLE runs ADD COLUMN claimed_by TEXT;
  ALTER TABLE runs ADD COLUMN stopped_by TEXT;
  ALTER TABLE runs ADD COLUMN stopped_from TEXT;
  ALTER TABLE runners ADD COLUMN token_name TEXT;
`;

/** Step n migrates version n to n + 1. */
export const MIGRATIONS: readonly string[] = [
  VERSION_1,
  VERSION_2,
  VERSION_3,
  VERSION_4,
  TREE_COUNTERS,
  EVENT_BOUNDS,
  GIVE_BACK,
  ROLES,
];
