import { describe, expect, test } from "bun:test";
import type { ShownRun } from "../../../src/dashboard/actions/retry.ts";
import {
  groupsOf,
  openDescendants,
  openIn,
  runningFor,
  type Tree,
  waitReason,
} from "../../../src/dashboard/home/grouping.ts";

const NOW = Date.parse("2026-11-24T08:00:00Z");
const before = (ms: number): string => new Date(NOW - ms).toISOString();
const MINUTE = 60_000;

function tree(
  status: Tree["status"],
  more: Partial<Tree> = {},
  by_status: Record<string, number> = { [status]: 1 },
): Tree {
  const roll_up = {
    sessions: Object.values(by_status).reduce((a, b) => a + b, 0),
    by_status,
    total_cost_usd: 0,
    num_turns: 0,
    input_tokens: 0,
    output_tokens: 0,
    run_ms: 0,
  };
  const nothing = {
    project_dir: null,
    agent_name: null,
    last_resumed_at: null,
    parent_session_id: null,
    executor_session_id: null,
    executor_type: null,
    hostname: null,
    execution_mode: null,
    title: null,
    last_event: null,
  };
  const used = { total_cost_usd: 0, num_turns: 0, input_tokens: 0, output_tokens: 0, run_ms: 0 };
  return { session_id: "s", status, created_at: before(30_000), ...nothing, ...used, roll_up, ...more };
}

function run(status: ShownRun["status"], more: Partial<ShownRun> = {}): ShownRun {
  const nothing = {
    traceparent: null,
    tracestate: null,
    events_dropped: 0,
    created_by: null,
    created_from: null,
    claimed_by: null,
    stopped_by: null,
    stopped_from: null,
    agent_name: null,
    project_dir: null,
    parent_session_id: null,
    demands: null,
    runner_id: null,
    error: null,
    reason: null,
    note: null,
    claimed_at: null,
    started_at: null,
    completed_at: null,
    timeout_at: null,
    waiting_for: null,
    not_before: null,
    expires_at: null,
    retry_delay_seconds: null,
    retry_of: null,
    retried_by: null,
    total_cost_usd: null,
    num_turns: null,
    input_tokens: null,
    output_tokens: null,
  };
  return {
    run_id: "r",
    type: "start_session",
    session_id: "s",
    prompt: "p",
    execution_mode: "sync",
    status,
    created_at: before(30_000),
    priority: 0,
    attempt: 1,
    returns: 0,
    max_attempts: 1,
    ...nothing,
    ...more,
  };
}

function groupNames(trees: Tree[], runs: ShownRun[] = []): string[] {
  const groups = groupsOf({ trees, runs }, NOW);
  return (["attention", "running", "waiting", "done"] as const).filter((name) => groups[name].length > 0);
}

describe("groupsOf", () => {
  test.each([
    ["running", {}, "running"],
    ["stopping", {}, "running"],
    ["pending", {}, "waiting"],
    ["finished", {}, "done"],
    ["stopped", {}, "done"],
    ["idle", {}, "done"],
    ["failed", {}, "attention"],
    ["failed", { created_at: before(4 * 86_400_000) }, "done"],
    ["running", { created_at: before(11 * MINUTE) }, "attention"],
    [
      "running",
      {
        created_at: before(11 * MINUTE),
        last_event: { event_id: 1, event_type: "message", tool_name: null, timestamp: before(MINUTE) },
      },
      "running",
    ],
  ] as const)("a tree that is %s %p is in %s", (status, more, group) => {
    expect(groupNames([tree(status, more)])).toEqual([group]);
  });

  test("a parent that waits for its descendants is waiting, never stalled, even after a long silence", () => {
    for (const status of ["idle", "finished"] as const) {
      const parent = tree(status, { created_at: before(60 * MINUTE) }, { [status]: 2, running: 2 });
      expect(groupNames([parent])).toEqual(["waiting"]);
      expect(waitReason(parent, [])).toBe("for 2 of 3 descendants");
    }
    expect(groupNames([tree("running", { created_at: before(60 * MINUTE) }, { running: 2 })])).toEqual(["running"]);
  });

  test("a failure has the error of the tree's last run", () => {
    const failed = run("failed", { error: "no disk", reason: "not_started", completed_at: before(MINUTE) });
    expect(groupsOf({ trees: [tree("failed")], runs: [failed] }, NOW).attention).toMatchObject([
      { kind: "failed", error: "no disk", reason: "not_started" },
    ]);
  });

  test("an unclaimed run needs attention once, and only after a grace period", () => {
    const unclaimed = (ms: number): ShownRun[] => [run("pending", { waiting_for: "runner", created_at: before(ms) })];
    expect(groupsOf({ trees: [tree("pending")], runs: unclaimed(20_000) }, NOW)).toMatchObject({
      attention: [{ kind: "no-runner", waitedMs: 20_000 }],
      waiting: [],
    });
    expect(groupNames([tree("pending")], unclaimed(5_000))).toEqual(["waiting"]);
    const scheduled = run("pending", {
      waiting_for: "runner",
      created_at: before(60 * MINUTE),
      not_before: before(5_000),
    });
    expect(groupNames([tree("pending")], [scheduled])).toEqual(["waiting"]);
  });
});

test.each([
  ["runner", "waits for a runner"],
  ["turn", "waits for its turn in the session"],
  ["retry", "waits for attempt 2 of 3"],
  [null, "waits to start"],
] as const)("waitReason: %s", (waiting_for, text) => {
  expect(waitReason(tree("pending"), [run("pending", { waiting_for, attempt: 2, max_attempts: 3 })])).toBe(text);
});

test("openIn counts the open sessions of a tree, openDescendants those without the root", () => {
  const parent = tree("running", {}, { running: 2, pending: 1, idle: 1, finished: 5, stopping: 1 });
  expect([openIn(parent), openDescendants(parent)]).toEqual([4, 3]);
});

test("runningFor is the time since the run started, and undefined without a started run", () => {
  expect(runningFor(tree("running"), [run("running", { started_at: before(5 * MINUTE) })], NOW)).toBe("for 5 min 00 s");
  expect(runningFor(tree("running"), [], NOW)).toBeUndefined();
});
