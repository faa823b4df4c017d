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
  /** Claude Code's id of the session to resume. */
  readonly resume: string | null;
  /** The environment of Claude Code. */
  readonly env: Record<string, string | undefined>;
  readonly allowance: Allowance;
}

/**
 * How permissions are decided without a person:
 * - `bypass`: Claude Code allows everything, and denies at once if a rule requires a person.
 * - `one-by-one`: the same effect for root, where Claude Code refuses to bypass; the executor answers each request.
 * - `mode`: the configured permission mode decides; requests for a person are denied at once.
 */
export type Allowance = "bypass" | "one-by-one" | "mode";

export function allowanceOf(
  mode: ClaudeSettings["permissionMode"],
  env: Readonly<Record<string, string | undefined>>,
): Allowance {
  if (mode !== "bypassPermissions") return "mode";
  // IS_SANDBOX is Claude Code's own variable: with it, Claude Code lets root bypass permissions.
  const isRefused = process.getuid?.() === 0 && !env["IS_SANDBOX"];
  return isRefused ? "one-by-one" : "bypass";
}

/**
 * Tools that make no sense in a run. The first asks a person. The others schedule a later wake-up, but a run ends with
 * its turn: it would count as a success while its work waits for a wake-up that never comes.
 */
const DISABLED_TOOLS = ["AskUserQuestion", "ScheduleWakeup", "CronCreate", "CronDelete", "CronList"];

const OutputSchema = v.looseObject({ output_schema: v.record(v.string(), v.unknown()) });

/** All options of Claude Code; the prompt is separate. */
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
    // Keeps credentials out of the arguments, which every user of the machine can read.
    mcpServersDelivery: "initialize",
    ...permissionsOf(request.allowance, settings),
    allowedTools: [...settings.allowedTools],
    disallowedTools: [...settings.disallowedTools, ...DISABLED_TOOLS],
    ...(settings.model === undefined ? {} : { model: settings.model }),
    ...(settings.settingSources === undefined ? {} : { settingSources: [...settings.settingSources] }),
    ...(settings.maxTurns === undefined ? {} : { maxTurns: settings.maxTurns }),
    ...(settings.maxBudgetUsd === undefined ? {} : { maxBudgetUsd: settings.maxBudgetUsd }),
    ...(output.success ? { outputFormat: { type: "json_schema", schema: output.output.output_schema } } : {}),
    // Provides the partial text of an aborted answer.
    includePartialMessages: true,
  };
}

function permissionsOf(allowance: Allowance, settings: ClaudeSettings): Options {
  switch (allowance) {
    case "bypass":
      return { permissionMode: "bypassPermissions", allowDangerouslySkipPermissions: true, permissionPrompts: "none" };
    case "one-by-one":
      return { permissionMode: "default", canUseTool: allowAll };
    case "mode":
      return { permissionMode: settings.permissionMode, permissionPrompts: "none" };
  }
}

/** Allows every tool use unless a rule of the user requires a person, as in `bypass`. */
const allowAll: CanUseTool = (_tool, input, { matchedAskRule }) =>
  Promise.resolve(
    matchedAskRule === undefined
      ? { behavior: "allow", updatedInput: input }
      : {
          behavior: "deny",
          message:
            "A rule requires the permission of a person, and no person is available. " +
            "The tool was not used; do not retry.",
        },
  );
