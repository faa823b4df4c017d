import { describe, expect, test } from "bun:test";
import { environmentForClaude } from "../../../executors/claude-code/environment.ts";
import { allowanceOf, optionsOf, type OptionsRequest } from "../../../executors/claude-code/options.ts";
import { redactor } from "../../../executors/claude-code/secrets.ts";
import { parseSettings } from "../../../executors/claude-code/settings.ts";
import type { Options } from "@anthropic-ai/claude-agent-sdk";

function options(table: Record<string, unknown> = {}, more: Partial<OptionsRequest> = {}): Options {
  const parsed = parseSettings(table, {});
  if (!parsed.ok) throw new Error(parsed.faults.join("\n"));
  return optionsOf({
    settings: parsed.settings,
    claudePath: "/bin/claude",
    blueprint: null,
    mcpServers: {},
    projectDir: "/p",
    resume: null,
    env: { PATH: "/bin" },
    allowance: "bypass",
    ...more,
  });
}

describe("optionsOf", () => {
  test("without settings uses Claude Code's defaults, and asks nobody", () => {
    const { disallowedTools, ...rest } = options();
    expect(rest).toEqual({
      pathToClaudeCodeExecutable: "/bin/claude",
      cwd: "/p",
      env: { PATH: "/bin" },
      systemPrompt: { type: "preset", preset: "claude_code" },
      mcpServers: {},
      mcpServersDelivery: "initialize",
      permissionMode: "bypassPermissions",
      allowDangerouslySkipPermissions: true,
      permissionPrompts: "none",
      allowedTools: [],
      includePartialMessages: true,
    });
    expect(disallowedTools).toContain("AskUserQuestion");
  });

  test("applies the settings", () => {
    const table = {
      model: "m",
      allowed_tools: ["Read"],
      disallowed_tools: ["Bash"],
      setting_sources: [],
      max_turns: 3,
      max_budget_usd: 1,
    };
    expect(options(table)).toMatchObject({
      model: "m",
      allowedTools: ["Read"],
      disallowedTools: expect.arrayContaining(["Bash", "AskUserQuestion", "ScheduleWakeup"]),
      settingSources: [],
      maxTurns: 3,
      maxBudgetUsd: 1,
    });
    expect(options({}, { claudePath: "/x/cli.js", resume: "c0ffee" })).toMatchObject({
      executable: "node",
      resume: "c0ffee",
    });
  });

  test("appends the blueprint's system prompt to the preset, then the setting's", () => {
    const blueprint = { system_prompt: "You review." };
    expect(options({}, { blueprint }).systemPrompt).toEqual({
      type: "preset",
      preset: "claude_code",
      append: "You review.",
    });
    expect(options({ append_system_prompt: "Be brief." }, { blueprint }).systemPrompt).toMatchObject({
      append: "You review.\n\nBe brief.",
    });
    expect(options({ append_system_prompt: "Be brief." }).systemPrompt).toMatchObject({ append: "Be brief." });
  });

  test("passes on the blueprint's output_schema", () => {
    const schema = { type: "object", properties: { answer: { type: "number" } } };
    expect(options({}, { blueprint: { output_schema: schema } }).outputFormat).toEqual({ type: "json_schema", schema });
    expect(options({}, { blueprint: { output_schema: null } })).not.toHaveProperty("outputFormat");
  });

  test("a mode that would ask a person denies at once instead", () => {
    expect(options({ permission_mode: "acceptEdits" }, { allowance: "mode" })).toMatchObject({
      permissionMode: "acceptEdits",
      permissionPrompts: "none",
    });
  });

  test("one-by-one: allows each tool use unless a rule requires a person", async () => {
    const { canUseTool, permissionMode, allowDangerouslySkipPermissions } = options({}, { allowance: "one-by-one" });
    expect({ permissionMode, allowDangerouslySkipPermissions }).toEqual({
      permissionMode: "default",
      allowDangerouslySkipPermissions: undefined,
    });
    const question = { signal: new AbortController().signal, toolUseID: "t1", requestId: "r1" };
    expect(await canUseTool?.("Bash", { command: "ls" }, question)).toEqual({
      behavior: "allow",
      updatedInput: { command: "ls" },
    });
    const matchedAskRule = { source: "userSettings", toolName: "Bash" };
    expect(await canUseTool?.("Bash", {}, { ...question, matchedAskRule })).toMatchObject({ behavior: "deny" });
  });
});

test("allowanceOf: root bypasses permissions only with IS_SANDBOX", () => {
  const isRoot = process.getuid?.() === 0;
  expect(allowanceOf("bypassPermissions", {})).toBe(isRoot ? "one-by-one" : "bypass");
  expect(allowanceOf("bypassPermissions", { IS_SANDBOX: "1" })).toBe("bypass");
  expect(allowanceOf("dontAsk", {})).toBe("mode");
});

test("environmentForClaude: removes the executor's settings and the variables of a parent Claude Code", () => {
  const env = {
    PATH: "/bin",
    AGENT_RUN_ID: "run_1",
    AGENT_ORCHESTRATOR_API_URL: "http://x/t",
    ANTHROPIC_API_KEY: "k",
    CLAUDE_CONFIG_DIR: "/c",
  };
  const result = environmentForClaude({
    ...env,
    CLAUDECODE: "1",
    CLAUDE_CODE_ENTRYPOINT: "cli",
    CLAUDE_CODE_PATH: "/x",
    CLAUDE_CODE_MAX_TURNS: "1",
  });
  expect(result).toMatchObject({
    ...env,
    CLAUDE_CODE_STARTUP_FAILURE_RESULTS: "1",
    CLAUDE_AGENT_SDK_CLIENT_APP: expect.stringMatching(/^agent-runner\//),
  });
  expect(Object.keys(result)).toHaveLength(Object.keys(env).length + 2);
});

test("redactor: secrets of the environment, the gateway's token, and credentials of MCP servers", () => {
  const env = {
    ANTHROPIC_API_KEY: "sk-ant-123456",
    DB_PASSWORD: "short",
    HOME: "/home/agent",
    AGENT_ORCHESTRATOR_API_URL: "http://127.0.0.1:1/tok3n-of-the-run",
  };
  const redact = redactor(env, ["Bearer header-t0ken", "plain-value"]);
  expect(redact("sk-ant-123456 http://127.0.0.1:1/tok3n-of-the-run/mcp header-t0ken plain-value")).toBe(
    "*** http://127.0.0.1:1/***/mcp *** ***",
  );
  expect(redact("short /home/agent")).toBe("short /home/agent");
  expect(redactor({ A_TOKEN: "abcdefgh", B_TOKEN: "abcdefgh-and-more" }, [])("abcdefgh-and-more abcdefgh")).toBe(
    "*** ***",
  );
});
