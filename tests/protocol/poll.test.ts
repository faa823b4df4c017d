import { expect, test } from "bun:test";
import { type AssignedRun, parsePollMessage } from "../../src/protocol/poll.ts";

/** As the seed's coordinator sends it. */
const G1 = {
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
const { prompt: _, ...withoutPrompt } = G1;
const G2 = { ...withoutPrompt, parameters: { prompt: "Find it" }, scope: null, resolved_agent_blueprint: null };

function runOf(run: unknown): AssignedRun {
  const message = parsePollMessage({ run });
  if (message?.kind !== "run") throw new Error(`not a run: ${JSON.stringify(message)}`);
  return message.run;
}

test("parsePollMessage: a run of the seed's generation", () => {
  expect(parsePollMessage({ run: G1 })).toEqual({
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
      generation: "G1",
    },
  });
});

test("parsePollMessage: a run of the second generation, its blueprint resolved or said to be none", () => {
  expect(runOf(G2)).toMatchObject({
    generation: "G2",
    prompt: "Find it",
    parameters: { prompt: "Find it" },
    resolvedBlueprint: null,
  });
  expect(runOf({ ...G2, resolved_agent_blueprint: { name: "a", more: 1 } }).resolvedBlueprint).toEqual({
    name: "a",
    more: 1,
  });
});

test("parsePollMessage: parameters other than a lone prompt become an inputs block", () => {
  expect(runOf({ ...G2, parameters: { prompt: "p", n: 5, list: ["a"], none: null } }).prompt).toBe(
    '<inputs>\nprompt: p\nn: 5\nlist: ["a"]\nnone: null\n</inputs>',
  );
  expect(runOf({ ...G2, parameters: { text: "one\ntwo" } }).prompt).toBe("<inputs>\ntext:\n  one\n  two\n</inputs>");
  expect(runOf({ ...G2, parameters: {} }).prompt).toBe("");
});

test("parsePollMessage: fields that are missing, null or empty are none", () => {
  const { agent_name: _a, project_dir: _p, parent_session_id: _s, ...bare } = G1;
  expect(runOf(bare)).toMatchObject({ agentName: null, projectDir: null, parentSessionId: null });
  expect(runOf({ ...G1, agent_name: "", project_dir: "" })).toMatchObject({ agentName: null, projectDir: null });
});

test("parsePollMessage: stops of both generations", () => {
  expect(parsePollMessage({ stop_runs: ["run_1", "run_2"] })).toEqual({
    kind: "stops",
    runIds: ["run_1", "run_2"],
    sessionIds: [],
  });
  expect(parsePollMessage({ stop_sessions: ["ses_1"] })).toEqual({ kind: "stops", runIds: [], sessionIds: ["ses_1"] });
});

test("parsePollMessage: deregistered; an empty object is nothing; what is not served is told by its keys", () => {
  expect(parsePollMessage({ deregistered: true })).toEqual({ kind: "deregistered" });
  expect(parsePollMessage({})).toEqual({ kind: "nothing" });
  expect(parsePollMessage({ sync_scripts: ["a"], remove_scripts: [] })).toEqual({
    kind: "unknown",
    keys: ["sync_scripts", "remove_scripts"],
  });
});

test("parsePollMessage: a run that comes together with something else is not lost", () => {
  expect(parsePollMessage({ run: G1, deregistered: false, stop_runs: null })?.kind).toBe("run");
});

test.each([
  ["its type", { ...G1, type: "dance" }, "type"],
  ["its session", { ...G1, session_id: "../x" }, "session_id"],
  ["a session that is no text", { ...G1, session_id: 5 }, "session_id"],
  ["its prompt", { ...G1, prompt: 5 }, "prompt"],
  ["its parameters", { ...G2, parameters: "p" }, "parameters"],
  [
    "its blueprint",
    { ...G2, resolved_agent_blueprint: { mcp_servers: { a: { url: 5 } } } },
    "resolved_agent_blueprint.mcp_servers.a.url",
  ],
])("parsePollMessage: a run with a fault in %s can be reported failed", (_, run, field) => {
  expect(parsePollMessage({ run })).toMatchObject({
    kind: "bad-run",
    runId: G1.run_id,
    fault: expect.stringContaining(`${field}: `),
  });
});

test("parsePollMessage: nothing can be done with a run that has no usable id", () => {
  expect(parsePollMessage({ run: { ...G1, run_id: "../../etc" } })).toBeNull();
  expect(parsePollMessage({ run: {} })).toBeNull();
});

test("parsePollMessage: garbage is none of its shapes", () => {
  for (const garbage of [
    undefined,
    null,
    "text",
    5,
    true,
    [],
    [{ run: G1 }],
    { run: "x" },
    { stop_runs: "run_1" },
    { stop_sessions: [5] },
  ]) {
    expect(parsePollMessage(garbage)).toBeNull();
  }
});
