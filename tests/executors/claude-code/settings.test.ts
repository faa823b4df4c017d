import { expect, test } from "bun:test";
import { type ClaudeSettings, parseSettings, SETTING_VARIABLES } from "../../../executors/claude-code/settings.ts";

function settingsOf(table: Record<string, unknown>, env: Record<string, string> = {}): ClaudeSettings {
  const parsed = parseSettings(table, env);
  if (!parsed.ok) throw new Error(parsed.faults.join("\n"));
  return parsed.settings;
}

function faultsOf(table: Record<string, unknown>, env: Record<string, string> = {}): readonly string[] {
  const parsed = parseSettings(table, env);
  return parsed.ok ? [] : parsed.faults;
}

test("parseSettings: bypasses permissions by default, and leaves the rest to Claude Code", () => {
  expect(settingsOf({})).toEqual({
    path: undefined,
    model: undefined,
    permissionMode: "bypassPermissions",
    allowedTools: [],
    disallowedTools: [],
    settingSources: undefined,
    maxTurns: undefined,
    maxBudgetUsd: undefined,
    appendSystemPrompt: undefined,
    commands: false,
    stallTimeoutMs: 900_000,
    backgroundWaitMs: 600_000,
    debugMessages: false,
  });
});

test.each([
  ["path", "/a/claude", "/b/claude", { path: "/a/claude" }, { path: "/b/claude" }],
  ["model", "opus", "sonnet", { model: "opus" }, { model: "sonnet" }],
  ["permission_mode", "dontAsk", "plan", { permissionMode: "dontAsk" }, { permissionMode: "plan" }],
  [
    "allowed_tools",
    ["Read", " Bash "],
    "Bash(git log:*, -n), Read",
    { allowedTools: ["Read", "Bash"] },
    { allowedTools: ["Bash(git log:*, -n)", "Read"] },
  ],
  ["disallowed_tools", ["Read"], "Bash", { disallowedTools: ["Read"] }, { disallowedTools: ["Bash"] }],
  ["setting_sources", ["user", "project"], "none", { settingSources: ["user", "project"] }, { settingSources: [] }],
  ["setting_sources", [], "local", { settingSources: [] }, { settingSources: ["local"] }],
  ["max_turns", 3, "4", { maxTurns: 3 }, { maxTurns: 4 }],
  ["max_budget_usd", 0.5, "2", { maxBudgetUsd: 0.5 }, { maxBudgetUsd: 2 }],
  [
    "append_system_prompt",
    "be brief",
    "be kind",
    { appendSystemPrompt: "be brief" },
    { appendSystemPrompt: "be kind" },
  ],
  ["commands", true, "false", { commands: true }, { commands: false }],
  ["stall_timeout", 90, "2m", { stallTimeoutMs: 90_000 }, { stallTimeoutMs: 120_000 }],
  ["background_wait", "500ms", "0", { backgroundWaitMs: 500 }, { backgroundWaitMs: 0 }],
  ["debug_messages", true, "false", { debugMessages: true }, { debugMessages: false }],
])(
  "parseSettings: %s of the table, and its variable, which wins",
  (key, inTable, inEnvironment, fromTable, fromEnvironment) => {
    const variable = `CLAUDE_CODE_${key.toUpperCase()}`;
    expect(SETTING_VARIABLES).toContain(variable);
    expect(settingsOf({ [key]: inTable })).toMatchObject(fromTable);
    expect(settingsOf({ [key]: inTable }, { [variable]: inEnvironment })).toMatchObject(fromEnvironment);
    expect(settingsOf({ [key]: inTable }, { [variable]: "" })).toMatchObject(fromTable);
    expect(settingsOf({ [key]: null })).toEqual(settingsOf({}));
  },
);

test("parseSettings: reports all faults, each with its key or variable", () => {
  const table = {
    modle: "x",
    permission_mode: "yolo",
    allowed_tools: 5,
    setting_sources: ["everywhere"],
    max_turns: 1.5,
    commands: "yes",
    stall_timeout: "soon",
  };
  expect(faultsOf(table, { CLAUDE_CODE_MAX_BUDGET_USD: "-1", CLAUDE_CODE_BACKGROUND_WAIT: "100 years" })).toEqual([
    expect.stringMatching(/^modle: unknown setting; the settings are path, model, permission_mode, /),
    "permission_mode: must be bypassPermissions, acceptEdits, dontAsk, auto, default or plan",
    "allowed_tools: must be a list of names",
    "setting_sources: must be a list of user, project, local, or none",
    "max_turns: must be a whole number of at least 1",
    "CLAUDE_CODE_MAX_BUDGET_USD: must be a number of dollars above 0",
    "commands: must be true or false",
    expect.stringMatching(/^stall_timeout: must be seconds/),
    expect.stringMatching(/^CLAUDE_CODE_BACKGROUND_WAIT: must be seconds/),
  ]);
});
