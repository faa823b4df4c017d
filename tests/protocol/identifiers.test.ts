import { expect, test } from "bun:test";
import * as v from "valibot";
import { randomHex12, RunId, SessionId } from "../../src/protocol/identifiers.ts";

const isOk = (schema: v.GenericSchema, ids: readonly unknown[]): boolean[] =>
  ids.map((id) => v.safeParse(schema, id).success);

test("RunId: accepts a coordinator's ids, and nothing that leads out of a folder", () => {
  expect(isOk(RunId, ["run_0123456789ab", "r", "A-1_b", "x".repeat(128)])).toEqual([true, true, true, true]);
  const bad = ["", ".", "..", "../x", "a/b", "a\\b", "-rf", "_x", "a b", "a\n", "a\0", "x".repeat(129), "ü", 5, null];
  expect(isOk(RunId, bad)).toEqual(bad.map(() => false));
});

test("SessionId: accepts a user's ids, but nothing that could mislead a path or a log", () => {
  expect(
    isOk(SessionId, ["ses_0123456789ab", "hook_0123456789ab", "my.session", "grüße", "a:b", "x".repeat(200)]),
  ).toEqual(Array(6).fill(true));
  const bad = ["", ".", "..", "a/b", "a\\b", "a b", "a?b", "a#b", "a\nb", "a\x7fb", "x".repeat(201), 5, null];
  expect(isOk(SessionId, bad)).toEqual(bad.map(() => false));
});

test("randomHex12: returns twelve hex digits, different each time", () => {
  const ids = Array.from({ length: 1_000 }, randomHex12);
  expect(ids.every((id) => /^[0-9a-f]{12}$/.test(id))).toBe(true);
  expect(new Set(ids).size).toBe(1_000);
});
