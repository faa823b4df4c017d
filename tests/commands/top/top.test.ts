import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { afterKey, type Effect, keysOf } from "../../../src/commands/top/top-keys.ts";
import { rowsOf, screenOf, type TopState } from "../../../src/commands/top/top-view.ts";
import { Run } from "../../../src/protocol/run.ts";
import { RunnerInfo } from "../../../src/protocol/runner.ts";
import { Session } from "../../../src/protocol/session.ts";

const NOW = Date.parse("2026-11-24T08:00:00Z");
const run = (id: number, status: string, more: object = {}) =>
  v.parse(Run, {
    run_id: `run_${id}`,
    session_id: `ses_${id}`,
    status,
    created_at: "2026-11-24T07:58:00Z",
    prompt: `task ${id}`,
    ...more,
  });
const session = (id: string, parent: string | null, status = "finished") =>
  v.parse(Session, { session_id: id, status, parent_session_id: parent });
const runs = [
  run(3, "running"),
  run(2, "pending", { waiting_for: "turn" }),
  run(1, "failed", { error: "no disk", completed_at: "2026-11-24T06:00:00Z" }),
];
const sessions = [
  session("b", null),
  session("a2", "a1", "running"),
  session("a1", "a"),
  session("a", null),
  session("orphan", "gone"),
];
const runners = [
  v.parse(RunnerInfo, { runner_id: "lnch_1", status: "online", hostname: "h", seconds_since_heartbeat: 75 }),
];
const START: TopState = {
  data: { runs, sessions, runners },
  view: "runs",
  chosen: null,
  isOpenOnly: false,
  showsHelp: false,
  asksToStop: null,
  message: "",
  awaySinceMs: null,
  followed: null,
};

function typed(keys: string, from: TopState = START): { state: TopState; effects: Effect[] } {
  const effects: Effect[] = [];
  let state = from;
  for (const key of keysOf(keys)) {
    const after = afterKey(state, key, NOW);
    state = after.state;
    if (after.effect.kind !== "none") effects.push(after.effect);
  }
  return { state, effects };
}

describe("rowsOf", () => {
  test("runs: reason of a wait, age, and reason of a failure", () => {
    expect(rowsOf(START, NOW).map(({ cells }) => [cells[0], cells[1], cells.at(-1)])).toEqual([
      ["running", "2m", "task 3"],
      ["pending (turn)", "2m", "task 2"],
      ["failed", "2h", "! no disk"],
    ]);
    expect(rowsOf({ ...START, isOpenOnly: true }, NOW)).toHaveLength(2);
  });

  test("tree: children below their parents; open sessions with their ancestors", () => {
    const tree = rowsOf({ ...START, view: "tree" }, NOW).map(({ cells }) => cells.at(-1));
    expect(tree).toEqual(["b", "a", "  └ a1", "    └ a2", "orphan"]);
    expect(rowsOf({ ...START, view: "tree", isOpenOnly: true }, NOW).map(({ id }) => id)).toEqual(["a", "a1", "a2"]);
  });

  test("runners", () => {
    expect(rowsOf({ ...START, view: "runners" }, NOW).map(({ cells }) => cells)).toEqual([
      ["online", "0", "h", "-", "-", "1m ago", "lnch_1"],
    ]);
  });
});

describe("keys", () => {
  test("keysOf splits input into keys", () => {
    expect(keysOf("q\x1b[A\x1b[5~\x1bOBé\x1b")).toEqual(["q", "\x1b[A", "\x1b[5~", "\x1bOB", "é", "\x1b"]);
  });

  test("moves stay within the rows; a new run does not change the chosen row", () => {
    expect(typed("kk").state.chosen).toBe("run_3");
    expect(typed("j").state.chosen).toBe("run_2");
    expect(typed("\x1b[B\x1b[6~").state.chosen).toBe("run_1");
    const more = { ...typed("j").state, data: { ...START.data, runs: [run(4, "running"), ...runs] } };
    expect(typed("s", more).state.asksToStop).toBe("run_2");
  });

  test("only y stops a run", () => {
    expect(typed("js").effects).toEqual([]);
    expect(typed("jsn").effects).toEqual([]);
    expect(typed("jsq").effects).toEqual([]);
    expect(typed("jsy").effects).toEqual([{ kind: "stop", runId: "run_2" }]);
  });

  test("f follows, q goes back, Ctrl+C quits from everywhere", () => {
    expect(typed("f").effects).toEqual([{ kind: "follow", runId: "run_3" }]);
    expect(typed("fq").effects).toEqual([{ kind: "follow", runId: "run_3" }, { kind: "unfollow" }]);
    for (const keys of ["q", "f\x03", "js\x03", "?\x03"]) expect(typed(keys).effects.at(-1)).toEqual({ kind: "quit" });
  });

  test("tab cycles through the views; a row without a run has a message", () => {
    expect([typed("\t").state.view, typed("\t\t\t").state.view, typed("3").state.view]).toEqual([
      "tree",
      "runs",
      "runners",
    ]);
    expect(typed("3s").state.message).toContain("no run to stop");
  });
});

describe("screenOf", () => {
  test.each([
    [80, 24],
    [20, 5],
    [300, 100],
    [1, 1],
  ])("every screen fits %d columns and %d lines", (columns, lines) => {
    const long = {
      ...START,
      data: { ...START.data, runs: [run(1, "running", { prompt: "日本\x1b[2J\u202e".repeat(500) })] },
      awaySinceMs: NOW - 5_000,
    };
    for (const state of [
      long,
      typed("?").state,
      typed("js").state,
      { ...long, view: "tree" as const },
      { ...long, followed: { runId: "run_1", lines: ["x".repeat(999)] } },
    ]) {
      const screen = screenOf(state, { columns, lines }, NOW);
      expect(screen).toHaveLength(lines);
      expect(Math.max(...screen.map(({ text }) => Bun.stringWidth(text)))).toBeLessThanOrEqual(columns);
      // oxlint-disable-next-line no-control-regex
      expect(screen.map(({ text }) => text).join("")).not.toMatch(/[\x00-\x1f\x7f-\x9f\u202e]/);
    }
  });

  test("the chosen row is visible among any number of rows", () => {
    const many = {
      ...START,
      data: { ...START.data, runs: Array.from({ length: 500 }, (_, i) => run(i, "running")) },
      chosen: "run_400",
    };
    const chosen = screenOf(many, { columns: 80, lines: 24 }, NOW).filter(({ tone }) => tone === "chosen");
    expect(chosen.map(({ text }) => /run_\d+/.exec(text)?.[0])).toEqual(["run_400"]);
  });
});
