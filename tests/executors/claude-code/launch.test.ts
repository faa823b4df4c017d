import { describe, expect, test } from "bun:test";
import { environmentForClaude } from "../../../executors/claude-code/environment.ts";
import { type Launch, launchOf, type LaunchRequest } from "../../../executors/claude-code/launch.ts";
import { allowanceOf, permissionFor } from "../../../executors/claude-code/permissions.ts";
import { pinnedSettings } from "../../../executors/claude-code/pinned-settings.ts";
import { redactor } from "../../../executors/claude-code/secrets.ts";
import { parseSettings } from "../../../executors/claude-code/settings.ts";

const SECRET = "sk-only-in-initialize";

function launch(table: Record<string, unknown> = {}, more: Partial<LaunchRequest> = {}): Launch {
  const parsed = parseSettings(table, {});
  if (!parsed.ok) throw new Error(parsed.faults.join("\n"));
  const env = { PATH: "/bin", HOME: "/nowhere" };
  return launchOf({
    settings: parsed.settings,
    claudePath: "/bin/claude",
    blueprint: null,
    mcpServers: {},
    pinned: pinnedSettings(parsed.settings, "/nowhere", { ...env, ANTHROPIC_API_KEY: SECRET }),
    projectDir: "/p",
    resume: null,
    env,
    allowance: "bypass",
    ...more,
  });
}

describe("launchOf", () => {
  test("without settings uses Claude Code's defaults, and asks nobody", () => {
    const { command, initialize, ...rest } = launch();
    expect(command).toEqual([
      "/bin/claude",
      "--print",
      "--verbose",
      "--input-format=stream-json",
      "--output-format=stream-json",
      "--include-partial-messages",
      "--await-initialize",
      "--initialize-fields=settings",
      "--permission-mode=bypassPermissions",
      "--allow-dangerously-skip-permissions",
      "--permission-prompts=none",
      "--disallowedTools=AskUserQuestion,ScheduleWakeup,CronCreate,CronDelete,CronList",
    ]);
    expect(Object.keys(initialize)).toEqual(["settings"]);
    expect(rest).toEqual({ projectDir: "/p", env: { PATH: "/bin", HOME: "/nowhere" }, allowance: "bypass" });
  });

  test("applies the settings", () => {
    const table = {
      model: "-m",
      allowed_tools: ["Read", "Bash(git log:*)"],
      disallowed_tools: ["Bash"],
      setting_sources: ["user", "local"],
      max_turns: 3,
      max_budget_usd: 1,
    };
    const { command } = launch(table, { resume: "c0ffee" });
    expect(command).toEqual(
      expect.arrayContaining([
        "--model=-m",
        "--allowedTools=Read,Bash(git log:*)",
        "--disallowedTools=Bash,AskUserQuestion,ScheduleWakeup,CronCreate,CronDelete,CronList",
        "--setting-sources=user,local",
        "--max-turns=3",
        "--max-budget-usd=1",
        "--resume=c0ffee",
      ]),
    );
    expect(launch({ setting_sources: "none" }).command).toContain("--setting-sources=");
    expect(launch({}, { claudePath: "/x/cli.js" }).command.slice(0, 2)).toEqual(["node", "/x/cli.js"]);
  });

  test("keeps everything that may be secret or long out of the arguments", () => {
    const mcpServers = {
      files: { type: "http", url: "http://x", headers: { A: SECRET }, alwaysLoad: true },
    } as const;
    const schema = { type: "object", properties: { [SECRET]: { type: "number" } } };
    const blueprint = { system_prompt: SECRET, output_schema: schema };
    const { command, initialize } = launch({ append_system_prompt: SECRET }, { mcpServers, blueprint });
    expect(JSON.stringify(command)).not.toContain(SECRET);
    expect(initialize).toMatchObject({
      mcpServers,
      jsonSchema: schema,
      settings: { env: { ANTHROPIC_API_KEY: SECRET } },
    });
  });

  test("appends the blueprint's system prompt to Claude Code's own, then the setting's", () => {
    const blueprint = { system_prompt: "You review." };
    const append = (table: Record<string, unknown>, more: Partial<LaunchRequest> = {}): unknown =>
      launch(table, more).initialize["appendSystemPrompt"];
    expect(append({}, { blueprint })).toBe("You review.");
    expect(append({ append_system_prompt: "Be brief." }, { blueprint })).toBe("You review.\n\nBe brief.");
    expect(append({ append_system_prompt: "Be brief." })).toBe("Be brief.");
    expect(append({})).toBeUndefined();
  });

  test("leaves an output_schema out that is none", () => {
    expect(launch({}, { blueprint: { output_schema: null } }).initialize).not.toHaveProperty("jsonSchema");
  });

  test("a mode that would ask a person denies at once instead", () => {
    const { command } = launch({ permission_mode: "acceptEdits" }, { allowance: "mode" });
    expect(command).toEqual(expect.arrayContaining(["--permission-mode=acceptEdits", "--permission-prompts=none"]));
    expect(command).not.toContain("--allow-dangerously-skip-permissions");
  });

  test("one-by-one: Claude Code asks the executor", () => {
    const { command } = launch({}, { allowance: "one-by-one" });
    expect(command).toEqual(expect.arrayContaining(["--permission-mode=default", "--permission-prompt-tool=stdio"]));
    for (const other of ["--permission-prompts=none", "--allow-dangerously-skip-permissions"])
      expect(command).not.toContain(other);
  });
});

describe("permissionFor", () => {
  const question = { subtype: "can_use_tool", tool_name: "Bash", input: { command: "ls" }, tool_use_id: "t1" };
  const cases: [string, object, "one-by-one" | "mode" | "bypass", "allow" | "deny"][] = [
    ["a tool use", question, "one-by-one", "allow"],
    ["a tool's own doubt", { ...question, decision_reason_type: "safetyCheck" }, "one-by-one", "allow"],
    ["a rule", { ...question, decision_reason_type: "rule" }, "one-by-one", "deny"],
    ["a rule behind a tool's doubt", { ...question, matched_ask_rule: { source: "x" } }, "one-by-one", "deny"],
    ["an unknown form", { ...question, input: "ls" }, "one-by-one", "deny"],
    ["another allowance", question, "mode", "deny"],
    ["another allowance", question, "bypass", "deny"],
  ];
  test.each(cases)("%s: %j, %s: %s", (_, asked, allowance, behavior) => {
    const answer = permissionFor(asked, allowance);
    expect(answer).toMatchObject({ behavior });
    if (behavior === "allow") expect(answer).toEqual({ behavior, updatedInput: { command: "ls" }, toolUseID: "t1" });
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

test("redactor: the passwords of proxies and databases in any variable", () => {
  const env = {
    HTTPS_PROXY: "http://me:proxy-pass@p:1",
    DB: "postgres://u:data%2F9999@h/x",
    PLAIN: "http://host:80/x@y",
  };
  const redact = redactor(env, []);
  expect(redact("proxy-pass data%2F9999 data/9999 http://host:80/x@y")).toBe("*** *** *** http://host:80/x@y");
});
