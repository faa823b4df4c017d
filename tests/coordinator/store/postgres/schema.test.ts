import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { MIGRATIONS } from "../../../../src/coordinator/store/schema.ts";
import { sharedPostgres } from "../../../harness/postgres.ts";
import { openStore } from "./open-store.ts";

const postgres = sharedPostgres();

/** What only PostgreSQL's schema has. */
const OWN_TABLES = ["schema_version", "commit_marks"];
const TYPES: Readonly<Record<string, string>> = { INTEGER: "bigint", REAL: "double precision", TEXT: 'text "C"' };

function sqlite(): Database {
  const db = new Database(":memory:");
  for (const step of MIGRATIONS) db.run(step);
  return db;
}

/** Each column as `table.column type NOT NULL DEFAULT x`, sorted. */
function columnsOfSqlite(db: Database): string[] {
  const rows = db
    .query<{ table: string; name: string; type: string; required: number; fallback: string | null; pk: number }, []>(
      `SELECT t.name AS "table", c.name, c.type, c."notnull" AS required, c.dflt_value AS fallback, c.pk
       FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c
       WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'`,
    )
    .all();
  return rows
    .map(({ table, name, type, required, fallback, pk }) => {
      const isRequired = required === 1 || pk > 0;
      const suffix = (isRequired ? " NOT NULL" : "") + (fallback === null ? "" : ` DEFAULT ${fallback}`);
      return `${table}.${name} ${TYPES[type]}${suffix}`;
    })
    .toSorted();
}

test("both schemas have the same tables, columns, types, defaults and keys", async () => {
  await using database = await postgres.database();
  await using store = await openStore(database.url);
  const rows = await store.all<{ line: string }>(
    `SELECT c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
       || CASE WHEN a.atttypid = 'text'::regtype THEN ' "' || k.collname || '"' ELSE '' END
       || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
       || coalesce(' DEFAULT ' || replace(pg_get_expr(d.adbin, d.adrelid), '::text', ''), '') AS line
     FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
       LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
       LEFT JOIN pg_collation AS k ON k.oid = a.attcollation
     WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped`,
  );
  const lines = rows.map(({ line }) => line).filter((line) => !OWN_TABLES.some((own) => line.startsWith(`${own}.`)));
  using db = sqlite();
  expect(lines.toSorted()).toEqual(columnsOfSqlite(db));
});

test("both schemas have the same indexes, with the same columns, conditions and uniqueness", async () => {
  await using database = await postgres.database();
  await using store = await openStore(database.url);
  const found = await store.all<{ name: string; sql: string }>(
    "SELECT indexname AS name, indexdef AS sql FROM pg_indexes WHERE schemaname = current_schema()",
  );
  const named = new Map(found.map(({ name, sql }) => [name, plain(sql)]));
  using db = sqlite();
  const wanted = db
    .query<{ name: string; sql: string }, []>(
      "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL",
    )
    .all();
  expect(wanted.length).toBeGreaterThan(20);
  for (const { name, sql } of wanted) expect([name, named.get(name)]).toEqual([name, plain(sql)]);
});

/** The words of an index that both engines write in their own way. */
function plain(sql: string): string {
  const [, unique, columns = "", condition = ""] =
    /^CREATE (UNIQUE )?INDEX \w+ ON (?:\w+\.)?\w+ ?(?:USING btree )?\((.*?)\)(?: WHERE (.*))?$/s.exec(sql) ?? [];
  return [unique ?? "", columns, condition]
    .join("|")
    .replaceAll("ifnull", "coalesce")
    .replaceAll(/::text(?:\[\])?/gi, "")
    .replaceAll(/= ANY \(ARRAY\[(.*?)\]\)/g, "IN ($1)")
    .replaceAll(/[()\s]/g, "")
    .toLowerCase();
}

const session = (id: string, parent?: string): string =>
  `INSERT INTO sessions (session_id, status, created_at, parent_session_id)
   VALUES ('${id}', 'idle', 'now', ${parent === undefined ? "NULL" : `'${parent}'`})`;
const run = (id: string): string =>
  `INSERT INTO runs (run_id, type, session_id, prompt, execution_mode, status, created_at)
   VALUES ('run-${id}', 'start_session', '${id}', 'p', 'm', 'pending', 'now')`;
const move = (id: string, parent: string): string =>
  `UPDATE sessions SET parent_session_id = ${parent} WHERE session_id = '${id}'`;
const seqOf = (id: string): string => `(SELECT seq FROM runs WHERE run_id = 'run-${id}')`;
const drop = (id: string, dropped: number): string =>
  `UPDATE run_events SET dropped = ${dropped} WHERE run_seq = ${seqOf(id)}`;

const BOTH: readonly string[] = [
  ...["a", "b", "c"].map((id) => session(id)),
  session("a1", "a"),
  session("a2", "a"),
  session("a11", "a1"),
  session("x", "nobody"),
  ...["a", "a1", "a11", "b", "c"].map(run),
  // Moves a subtree, joins a root, changes nothing within a tree, leaves a parent.
  move("a1", "'b'"),
  move("c", "'a11'"),
  move("a11", "'b'"),
  move("a2", "NULL"),
  "DELETE FROM sessions WHERE session_id = 'x'",
  "DELETE FROM sessions WHERE session_id = 'a1'",
  ...["a", "b", "c"].map((id) => `INSERT INTO run_events (run_seq, bytes) VALUES (${seqOf(id)}, 10)`),
  ...[1, 2, 3, 4, 5].map((dropped) => drop("a", dropped)),
  drop("b", 3),
  "UPDATE runs SET completed_at = 'now', error = 'e' WHERE run_id IN ('run-b', 'run-c')",
  "INSERT INTO audit (at, role, address, action) VALUES ('now', 'admin', 'here', 'x')",
];

const LOOKS: readonly string[] = [
  "SELECT seq, session_id, tree_id, tree_depth, children_started FROM sessions ORDER BY seq",
  "SELECT * FROM trees ORDER BY tree_id",
  "SELECT run_id, events_dropped, error FROM runs ORDER BY seq",
  "SELECT * FROM run_events ORDER BY run_seq",
];

test("the triggers of both schemas do the same", async () => {
  await using database = await postgres.database();
  await using store = await openStore(database.url);
  using db = sqlite();
  for (const sql of BOTH) {
    db.run(sql);
    await store.run(sql);
    for (const look of LOOKS) expect([sql, await store.all(look)]).toEqual([sql, db.query(look).all()]);
  }
});

test.each(["DELETE FROM audit", "UPDATE audit SET role = 'viewer'", "TRUNCATE audit"])(
  "the audit list is append-only: %s",
  async (sql) => {
    await using database = await postgres.database();
    await using store = await openStore(database.url);
    await store.run("INSERT INTO audit (at, role, address, action) VALUES ('now', 'admin', 'here', 'x')");
    const change = store.run(sql).catch((error: unknown) => error);
    expect(String(await change)).toContain("the audit list is append-only");
    expect(await store.all("SELECT role FROM audit")).toEqual([{ role: "admin" }]);
  },
);

test("entries of the audit list beyond the newest 100,000 can be deleted", async () => {
  await using database = await postgres.database();
  await using store = await openStore(database.url);
  const add = "INSERT INTO audit (seq, at, role, address, action) VALUES (?, 'now', 'admin', 'here', 'x')";
  for (const seq of [1, 2, 100_001]) await store.run(add, seq);
  await store.run("DELETE FROM audit WHERE seq = 1");
  expect(await store.all("SELECT seq FROM audit ORDER BY seq")).toEqual([{ seq: 2 }, { seq: 100_001 }]);
});
