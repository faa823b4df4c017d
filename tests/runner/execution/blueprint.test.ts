import { expect, test } from "bun:test";
import { invocationOf, resolvePlaceholders } from "../../../src/runner/execution/blueprint.ts";
import { assignedRun } from "../assigned-run.ts";

const VALUES = { sessionId: "ses_1", mcpUrl: "http://127.0.0.1:1/t/mcp" };
const S = "${AGENT_SESSION_ID}";
const M = "${AGENT_ORCHESTRATOR_MCP_URL}";
const RUNNER_M = "${runner.orchestrator_mcp_url}";

test("resolvePlaceholders: fills url, headers, args and env of the MCP servers", () => {
  const blueprint = {
    name: "a",
    mcp_servers: {
      http: { type: "http", url: M, headers: { "X-Agent-Session-Id": S, "X-Both": `${S} ${M} ${S}` } },
      stdio: { type: "stdio", command: "run", args: ["--session", S], env: { SESSION: S } },
    },
  };
  expect(resolvePlaceholders(blueprint, VALUES).mcp_servers).toEqual({
    http: {
      type: "http",
      url: VALUES.mcpUrl,
      headers: { "X-Agent-Session-Id": "ses_1", "X-Both": `ses_1 ${VALUES.mcpUrl} ses_1` },
    },
    stdio: { type: "stdio", command: "run", args: ["--session", "ses_1"], env: { SESSION: "ses_1" } },
  });
});

test("resolvePlaceholders: keeps the first generation's placeholders in all other places", () => {
  const blueprint = { name: S, system_prompt: `${S} ${M}`, mcp_servers: { a: { command: S, type: M } } };
  expect(resolvePlaceholders(blueprint, VALUES)).toEqual(blueprint);
});

test("resolvePlaceholders: replaces the second generation's placeholder in every string", () => {
  const blueprint = {
    system_prompt: `use ${RUNNER_M}`,
    skills: [RUNNER_M],
    mcp_servers: { a: { url: RUNNER_M, config: { h: `${RUNNER_M} ${S}` } } },
    n: 5,
    none: null,
  };
  expect(resolvePlaceholders(blueprint, VALUES)).toEqual({
    system_prompt: `use ${VALUES.mcpUrl}`,
    skills: [VALUES.mcpUrl],
    mcp_servers: { a: { url: VALUES.mcpUrl, config: { h: `${VALUES.mcpUrl} ses_1` } } },
    n: 5,
    none: null,
  });
});

test("resolvePlaceholders: keeps unknown placeholders", () => {
  const blueprint = { mcp_servers: { a: { url: "${params.x} ${env.HOME} ${AGENT_SESSION_ID_2} $AGENT_SESSION_ID" } } };
  expect(resolvePlaceholders(blueprint, VALUES)).toEqual(blueprint);
});

test("resolvePlaceholders: inserts the session's id unchanged", () => {
  const resolved = resolvePlaceholders({ mcp_servers: { a: { url: S } } }, { ...VALUES, sessionId: "$&$1$$" });
  expect(resolved.mcp_servers?.["a"]?.url).toBe("$&$1$$");
});

test("resolvePlaceholders: does not change its argument", () => {
  const blueprint = { mcp_servers: { a: { url: S } } };
  resolvePlaceholders(blueprint, VALUES);
  expect(blueprint.mcp_servers.a.url).toBe(S);
});

const OPTIONS = { projectDir: "/p", agentName: "a", executorConfig: {}, blueprint: { name: "a" } };

test("invocationOf: has the fields of both schemas, and the project directory on a start only", () => {
  expect(JSON.parse(invocationOf(assignedRun(), { ...OPTIONS, schema: "2.0" }))).toEqual({
    schema_version: "2.0",
    mode: "start",
    session_id: "ses_1",
    prompt: "do it",
    parameters: { prompt: "do it" },
    project_dir: "/p",
    agent_name: "a",
    agent_blueprint: { name: "a" },
  });
  expect(
    JSON.parse(invocationOf(assignedRun({ type: "resume_session" }), { ...OPTIONS, schema: "2.0", blueprint: null })),
  ).toEqual({
    schema_version: "2.0",
    mode: "resume",
    session_id: "ses_1",
    prompt: "do it",
    parameters: { prompt: "do it" },
    agent_name: "a",
  });
});

test("invocationOf: schema 2.2 differs in the version only", () => {
  const run = assignedRun({ parameters: { prompt: "p", n: 5 } });
  expect(JSON.parse(invocationOf(run, { ...OPTIONS, schema: "2.2" }))).toEqual({
    schema_version: "2.2",
    mode: "start",
    session_id: "ses_1",
    prompt: "do it",
    parameters: { prompt: "p", n: 5 },
    project_dir: "/p",
    agent_name: "a",
    agent_blueprint: { name: "a" },
  });
  expect(
    JSON.parse(invocationOf(run, { ...OPTIONS, schema: "2.2", agentName: null, blueprint: null })),
  ).not.toContainKeys(["agent_name"]);
});

test.each(["2.0", "2.2"] as const)(
  "invocationOf: schema %s has what the settings say about the executor, where they do",
  (schema) => {
    const said = JSON.parse(
      invocationOf(assignedRun(), { ...OPTIONS, schema, executorConfig: { model: "m", tools: ["a"] } }),
    );
    expect(said.executor_config).toEqual({ model: "m", tools: ["a"] });
    expect(JSON.parse(invocationOf(assignedRun(), { ...OPTIONS, schema }))).not.toContainKeys(["executor_config"]);
  },
);

test("invocationOf: an MCP server with a URL has the headers in the form of both generations", () => {
  const mcp_servers = {
    first: { type: "http", url: "u", headers: { a: "1" } },
    second: { url: "u", config: { a: 1, b: true } },
    both: { type: "sse", url: "u", headers: { a: "1" }, config: { b: "2" } },
    bare: { type: "http", url: "u" },
    odd: { url: "u", config: { a: {} } },
    local: { type: "stdio", command: "c", args: [], env: { A: "1" } },
  };
  const { agent_blueprint } = JSON.parse(
    invocationOf(assignedRun(), { ...OPTIONS, schema: "2.2", blueprint: { name: "a", mcp_servers } }),
  ) as { agent_blueprint: object };
  expect(agent_blueprint).toEqual({
    name: "a",
    mcp_servers: {
      ...mcp_servers,
      first: { ...mcp_servers.first, config: { a: "1" } },
      second: { type: "http", url: "u", headers: { a: "1", b: "true" }, config: { a: 1, b: true } },
    },
  });
});
