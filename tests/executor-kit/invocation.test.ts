import { describe, expect, test } from "bun:test";
import { InvocationV20, InvocationV22, invocationJsonSchema, parseInvocation } from "../../src/protocol/invocation.ts";

const v20 = { schema_version: "2.0", mode: "start", session_id: "ses_1", prompt: "hi", project_dir: "/p" };
const v22 = {
  schema_version: "2.2",
  mode: "start",
  session_id: "ses_1",
  parameters: { prompt: "hi" },
  project_dir: "/p",
};

describe("parseInvocation", () => {
  test("returns the same form for both schemas", () => {
    const form = {
      mode: "start",
      sessionId: "ses_1",
      prompt: "hi",
      parameters: { prompt: "hi" },
      projectDir: "/p",
      agentBlueprint: null,
      agentName: null,
      executorConfig: {},
    } as const;
    expect(parseInvocation(JSON.stringify(v20))).toEqual({ schemaVersion: "2.0", ...form });
    expect(parseInvocation(JSON.stringify(v22))).toEqual({ schemaVersion: "2.2", ...form });
  });

  test("passes a blueprint's unknown fields through and takes the agent's name from it", () => {
    const blueprint = {
      name: "helper",
      skills: ["a"],
      mcp_servers: { m: { type: "http", url: "http://x", extra: 1 } },
    };
    const parsed = parseInvocation(JSON.stringify({ ...v20, agent_blueprint: blueprint }));
    expect(parsed.agentBlueprint).toEqual(blueprint);
    expect(parsed.agentName).toBe("helper");
  });

  test("takes agent_name of 2.2, and executor_config of both", () => {
    expect(parseInvocation(JSON.stringify({ ...v22, agent_name: "a" })).agentName).toBe("a");
    for (const schema of [v20, v22]) {
      expect(parseInvocation(JSON.stringify({ ...schema, executor_config: { model: "m" } })).executorConfig).toEqual({
        model: "m",
      });
    }
  });

  test("renders parameters as inputs, except a lone prompt", () => {
    const parameters = { topic: "cats", text: "one\ntwo", list: [1, 2], none: null };
    expect(parseInvocation(JSON.stringify({ ...v22, parameters })).prompt).toBe(
      "<inputs>\ntopic: cats\ntext:\n  one\n  two\nlist: [1,2]\nnone: null\n</inputs>",
    );
    expect(parseInvocation(JSON.stringify({ ...v22, parameters: {} })).prompt).toBe("");
  });

  test("ignores unknown fields and nulls", () => {
    const parsed = parseInvocation(JSON.stringify({ ...v20, metadata: {}, project_dir: null, agent_blueprint: null }));
    expect(parsed.projectDir).toBeNull();
  });

  test.each([
    [
      "an unsupported version",
      { ...v20, schema_version: "2.1" },
      'unsupported schema version "2.1": this executor takes "2.0" and "2.2"',
    ],
    ["no version", { mode: "start" }, "the invocation has no schema_version"],
    ["no prompt", { ...v20, prompt: undefined }, "the invocation has no prompt"],
    ["no parameters", { ...v22, parameters: undefined }, "the invocation has no parameters"],
    ["no session", { ...v20, session_id: undefined }, "the invocation has no session_id"],
    ["a wrong mode", { ...v20, mode: "stop" }, "the invocation's mode is invalid"],
    ["a prompt that is not a string", { ...v20, prompt: 5 }, "the invocation's prompt is invalid"],
    ["an array", [], "the invocation is not a JSON object"],
  ])("refuses %s with a clear message", (_what, payload, message) => {
    expect(() => parseInvocation(JSON.stringify(payload))).toThrow(message);
  });

  test("refuses invalid JSON and empty input", () => {
    expect(() => parseInvocation("{nope")).toThrow("the invocation is not valid JSON");
    expect(() => parseInvocation(" \n")).toThrow("the invocation is empty");
  });
});

describe("invocationJsonSchema", () => {
  test("names the same fields as the schemas that parse", () => {
    const schema = invocationJsonSchema() as { oneOf: { properties: object; required: string[] }[] };
    const parsers = [InvocationV20, InvocationV22];
    expect(schema.oneOf).toHaveLength(parsers.length);
    for (const [index, parser] of parsers.entries()) {
      const branch = schema.oneOf[index];
      expect(Object.keys(branch?.properties ?? {}).sort()).toEqual(Object.keys(parser.entries).sort());
      const required = Object.entries(parser.entries).filter(([, entry]) => entry.type !== "nullish");
      expect(branch?.required.toSorted()).toEqual(required.map(([name]) => name).sort());
    }
  });
});
