import type { CanUseTool, Options } from "@anthropic-ai/claude-agent-sdk";
import * as v from "valibot";
import type { Blueprint } from "../../src/protocol/agent.ts";
import { isJavaScript } from "./find-claude.ts";
import type { mcpServersOf } from "./mcp-servers.ts";
import type { ClaudeSettings } from "./settings.ts";

export interface OptionsRequest {
  readonly settings: ClaudeSettings;
  readonly claudePath: string;
  readonly blueprint: Blueprint | null;
  readonly mcpServers: ReturnType<typeof mcpServersOf>;
  readonly projectDir: string;
  /** Claude Code's id of the session to go on with. */
  readonly resume: string | null;
  /** What Claude Code sees of the environment. */
  readonly env: Record<string, string | undefined>;
  readonly allows: Allowance;
}

/**
 * How it is that nobody is asked. `bypass`: Claude Code asks nothing, and denies at once where a rule demands a person.
 * `one-by-one`: the same, where Claude Code refuses to bypass (as root): the executor answers each question. `mode`: the permission mode
 * that was set decides, and what it would ask a person is denied at once.
 */
export type Allowance = "bypass" | "one-by-one" | "mode";

export function allowanceOf(
  mode: ClaudeSettings["permissionMode"],
  env: Readonly<Record<string, string | undefined>>,
): Allowance {
  if (mode !== "bypassPermissions") return "mode";
  // Claude Code itself lets root bypass permissions where the user says that the machine is a sandbox.
  const isRefused = process.getuid?.() === 0 && !env["IS_SANDBOX"];
  return isRefused ? "one-by-one" : "bypass";
}

/**
 * No tools in a run. The first asks a person. The others make Claude Code go on later by itself, and a run ends with its turn: it would be
 * called a success while its work waits for a wake-up that never comes.
 */
const WITHOUT_USE = ["AskUserQuestion", "ScheduleWakeup", "CronCreate", "CronDelete", "CronList"];

const OutputSchema = v.looseObject({ output_schema: v.record(v.string(), v.unknown()) });

/** All that Claude Code is told, but for the prompt. */
export function optionsOf(request: OptionsRequest): Options {
  const { settings, blueprint, mcpServers } = request;
  const append = [blueprint?.system_prompt, settings.appendSystemPrompt].filter(Boolean).join("\n\n");
  const output = v.safeParse(OutputSchema, blueprint);
  return {
    pathToClaudeCodeExecutable: request.claudePath,
    ...(isJavaScript(request.claudePath) ? { executable: "node" as const } : {}),
    cwd: request.projectDir,
    env: request.env,
    ...(request.resume === null ? {} : { resume: request.resume }),
    systemPrompt: { type: "preset", preset: "claude_code", ...(append === "" ? {} : { append }) },
    mcpServers,
    // Not in the arguments, which every user of the machine can read.
    mcpServersDelivery: "initialize",
    ...permissionsOf(request.allows, settings),
    allowedTools: [...settings.allowedTools],
    disallowedTools: [...settings.disallowedTools, ...WITHOUT_USE],
    ...(settings.model === undefined ? {} : { model: settings.model }),
    ...(settings.settingSources === undefined ? {} : { settingSources: [...settings.settingSources] }),
    ...(settings.maxTurns === undefined ? {} : { maxTurns: settings.maxTurns }),
    ...(settings.maxBudgetUsd === undefined ? {} : { maxBudgetUsd: settings.maxBudgetUsd }),
    ...(output.success ? { outputFormat: { type: "json_schema", schema: output.output.output_schema } } : {}),
    // What there is of a text when it is cut short.
    includePartialMessages: true,
  };
}

function permissionsOf(allows: Allowance, settings: ClaudeSettings): Options {
  switch (allows) {
    case "bypass":
      return { permissionMode: "bypassPermissions", allowDangerouslySkipPermissions: true, permissionPrompts: "none" };
    case "one-by-one":
      return { permissionMode: "default", canUseTool: allowAll };
    case "mode":
      return { permissionMode: settings.permissionMode, permissionPrompts: "none" };
  }
}

/** A rule of the user's that demands a person is kept to, as it is where permissions are bypassed. */
const allowAll: CanUseTool = (_tool, input, { matchedAskRule }) =>
  Promise.resolve(
    matchedAskRule === undefined
      ? { behavior: "allow", updatedInput: input }
      : {
          behavior: "deny",
          message:
            "A rule demands that a person allows this, and nobody is there to ask. It was not done; do not try it again.",
        },
  );
