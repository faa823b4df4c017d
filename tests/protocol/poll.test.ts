import { expect, test } from "bun:test";
import { type AssignedRun, parseAssignedRun, parsePollMessage } from "../../src/protocol/poll.ts";

/** A run as the first generation's coordinator sends it. */
const FIRST = {
  run_id: "run_0123456789ab",
  type: "start_session",
  session_id: "ses_0123456789ab",
  agent_name: "researcher",
  prompt: "Find it",
  project_dir: "/work",
  parent_session_id: null,
  execution_mode: "sync",
  demands: null,
  status: "claimed",
  runner_id: "lnch_1",
  error: null,
  created_at: "2025-12-01T10:00:00Z",
  claimed_at: "2025-12-01T10:00:01Z",
  started_at: null,
  completed_at: null,
  timeout_at: null,
};
const { prompt: _, ...withoutPrompt } = FIRST;
const SECOND = { ...withoutPrompt, parameters: { prompt: "Find it" }, scope: null, resolved_agent_blueprint: null };

function runOf(run: unknown): AssignedRun {
  const message = parsePollMessage({ run });
  if (message?.kind !== "run") throw new Error(`not a run: ${JSON.stringify(message)}`);
  return message.run;
}

test("parsePollMessage: a run of the first generation", () => {
  expect(parsePollMessage({ run: FIRST })).toEqual({
    kind: "run",
    run: {
      runId: "run_0123456789ab",
      sessionId: "ses_0123456789ab",
      type: "start_session",
      agentName: "researcher",
      prompt: "Find it",
      parameters: { prompt: "Find it" },
      projectDir: "/work",
      parentSessionId: null,
      resolvedBlueprint: undefined,
      generation: "first",
    },
  });
});

test("parsePollMessage: a run of the second generation, with and without a resolved blueprint", () => {
  expect(runOf(SECOND)).toMatchObject({
    generation: "second",
    prompt: "Find it",
    parameters: { prompt: "Find it" },
    resolvedBlueprint: null,
  });
  expect(runOf({ ...SECOND, resolved_agent_blueprint: { name: "a", more: 1 } }).resolvedBlueprint).toEqual({
    name: "a",
    more: 1,
  });
});

test("parsePollMessage: parameters other than a lone prompt become an inputs block", () => {
  expect(runOf({ ...SECOND, parameters: { prompt: "p", n: 5, list: ["a"], none: null } }).prompt).toBe(
    '<inputs>\nprompt: p\nn: 5\nlist: ["a"]\nnone: null\n</inputs>',
  );
  expect(runOf({ ...SECOND, parameters: { text: "one\ntwo" } }).prompt).toBe(
    "<inputs>\ntext:\n  one\n  two\n</inputs>",
  );
  expect(runOf({ ...SECOND, parameters: {} }).prompt).toBe("");
});

test("parsePollMessage: missing, null and empty fields count as none", () => {
  const { agent_name: _a, project_dir: _p, parent_session_id: _s, ...bare } = FIRST;
  expect(runOf(bare)).toMatchObject({ agentName: null, projectDir: null, parentSessionId: null });
  expect(runOf({ ...FIRST, agent_name: "", project_dir: "" })).toMatchObject({ agentName: null, projectDir: null });
});

test("parsePollMessage: stops of both generations", () => {
  expect(parsePollMessage({ stop_runs: ["run_1", "run_2"] })).toEqual({
    kind: "stops",
    runIds: ["run_1", "run_2"],
    sessionIds: [],
  });
  expect(parsePollMessage({ stop_sessions: ["ses_1"] })).toEqual({ kind: "stops", runIds: [], sessionIds: ["ses_1"] });
});

test("parsePollMessage: deregistered, an empty object, and the keys of an unsupported message", () => {
  expect(parsePollMessage({ deregistered: true })).toEqual({ kind: "deregistered" });
  expect(parsePollMessage({})).toEqual({ kind: "nothing" });
  expect(parsePollMessage({ sync_scripts: ["a"], remove_scripts: [] })).toEqual({
    kind: "unknown",
    keys: ["sync_scripts", "remove_scripts"],
  });
});

test("parsePollMessage: keeps a run that comes with other fields", () => {
  expect(parsePollMessage({ run: FIRST, deregistered: false, stop_runs: null })?.kind).toBe("run");
});

test.each([
  ["type", { ...FIRST, type: "dance" }, "type"],
  ["session", { ...FIRST, session_id: "../x" }, "session_id"],
  ["session that is a number", { ...FIRST, session_id: 5 }, "session_id"],
  ["prompt", { ...FIRST, prompt: 5 }, "prompt"],
  ["parameters", { ...SECOND, parameters: "p" }, "parameters"],
  [
    "blueprint",
    { ...SECOND, resolved_agent_blueprint: { mcp_servers: { a: { url: 5 } } } },
    "resolved_agent_blueprint.mcp_servers.a.url",
  ],
])("parsePollMessage: a run with an invalid %s can be reported failed", (_, run, field) => {
  expect(parsePollMessage({ run })).toMatchObject({
    kind: "bad-run",
    runId: FIRST.run_id,
    fault: expect.stringContaining(`${field}: `),
  });
});

test("parsePollMessage: null for a run without a valid id", () => {
  expect(parsePollMessage({ run: { ...FIRST, run_id: "../../etc" } })).toBeNull();
  expect(parsePollMessage({ run: {} })).toBeNull();
});

test("parsePollMessage: null for garbage", () => {
  for (const garbage of [
    undefined,
    null,
    "text",
    5,
    true,
    [],
    [{ run: FIRST }],
    { run: "x" },
    { stop_runs: "run_1" },
    { stop_sessions: [5] },
  ]) {
    expect(parsePollMessage(garbage)).toBeNull();
  }
});

test("parseAssignedRun: a run with a prompt and parameters is of the first generation", () => {
  const run = { run_id: "run_1", session_id: "ses_1", type: "start_session", prompt: "p", parameters: { prompt: "p" } };
  const withBoth = { ...run, resolved_agent_blueprint: null };
  expect(parseAssignedRun(withBoth)).toMatchObject({
    kind: "run",
    run: { generation: "first", prompt: "p", parameters: { prompt: "p" }, resolvedBlueprint: undefined },
  });
});

test("parseAssignedRun: a run of the second generation without a blueprint differs from one that does not say", () => {
  const run = { run_id: "run_1", session_id: "ses_1", type: "start_session", parameters: { prompt: "p" } };
  expect(parseAssignedRun(run)).toMatchObject({ run: { generation: "second", resolvedBlueprint: undefined } });
  const without = { ...run, resolved_agent_blueprint: null };
  expect(parseAssignedRun(without)).toMatchObject({ run: { resolvedBlueprint: null } });
});
