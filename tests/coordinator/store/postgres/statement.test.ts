import { expect, test } from "bun:test";
import { arrange, statementOf } from "../../../../src/coordinator/store/postgres/statement.ts";

test.each([
  ["SELECT * FROM a WHERE b = ? AND c = ?", "SELECT * FROM a WHERE b = $1 AND c = $2", [0, 1]],
  ["SELECT ?2, ?1, ?2", "SELECT $1, $2, $1", [1, 0]],
  ["SELECT ?2, ?, ?", "SELECT $1, $2, $3", [1, 2, 3]],
  ["SELECT '?', 'it''s ?', \"?\", ? -- ?\n/* ? */", "SELECT '?', 'it''s ?', \"?\", $1 -- ?\n/* ? */", [0]],
  ["SELECT 1 FROM runs AS r INDEXED BY runs_by_status WHERE x = ?", "SELECT 1 FROM runs AS r WHERE x = $1", [0]],
  ["SELECT 1 FROM runs\n  INDEXED  BY runs_open\nWHERE 1", "SELECT 1 FROM runs\nWHERE 1", []],
  ["SELECT 'a INDEXED BY b' FROM c NOT INDEXED", "SELECT 'a INDEXED BY b' FROM c", []],
])("statementOf translates %s", (sql, text, places) => {
  expect(statementOf(sql)).toMatchObject({ text, places });
});

test.each([
  ["SELECT 1", true],
  ["  with a AS (SELECT 1) SELECT * FROM a", true],
  ["SELECT 'DELETE'", true],
  ["SELECT updated_at FROM a", true],
  ["SELECT 1 FROM a FOR UPDATE SKIP LOCKED", false],
  ["WITH a AS (DELETE FROM b RETURNING *) SELECT * FROM a", false],
  ["SELECT nextval('a')", false],
  ["INSERT INTO a SELECT 1", false],
  ["UPDATE a SET b = 1", false],
  ["TRUNCATE a", false],
])("statementOf knows whether %s only reads", (sql, isRead) => {
  expect(statementOf(sql).isRead).toBe(isRead);
});

test("arrange puts values in the order of the placeholders, and counts them", () => {
  expect(arrange(statementOf("SELECT ?2, ?1"), ["a", "b"])).toEqual(["b", "a"]);
  expect(() => arrange(statementOf("SELECT ?"), [])).toThrow("0 values");
  expect(() => arrange(statementOf("SELECT 1"), ["a"])).toThrow("1 values");
});
