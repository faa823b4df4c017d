import * as v from "valibot";
import type { Blueprint } from "../../src/protocol/agent.ts";
import { isJavaScript } from "./find-claude.ts";
import type { ClaudeServer } from "./mcp-servers.ts";
import { type Allowance, permissionArguments } from "./permissions.ts";
import type { PinnedSettings } from "./pinned-settings.ts";
import type { ClaudeSettings } from "./settings.ts";

export interface LaunchRequest {
  readonly settings: ClaudeSettings;
  readonly claudePath: string;
  readonly blueprint: Blueprint | null;
  readonly mcpServers: Readonly<Record<string, ClaudeServer>>;
  readonly pinned: PinnedSettings;
  readonly projectDir: string;
  /** Claude Code's id of the session to resume. */
  readonly resume: string | null;
  /** The environment of Claude Code. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly allowance: Allowance;
}

/** How Claude Code is started. All users of the machine can read `command`, so secrets go into `initialize`. */
export interface Launch {
  readonly command: readonly string[];
  readonly projectDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The fields of the control request that Claude Code gets before anything else. */
  readonly initialize: Readonly<Record<string, unknown>>;
  readonly allowance: Allowance;
}

/**
 * Tools that make no sense in a run. The first asks a person. The others schedule a later wake-up, but a run ends with
 * its turn: it would count as a success while its work waits for a wake-up that never comes.
 */
const DISABLED_TOOLS = ["AskUserQuestion", "ScheduleWakeup", "CronCreate", "CronDelete", "CronList"];

const PROTOCOL = [
  "--print",
  "--verbose",
  "--input-format=stream-json",
  "--output-format=stream-json",
  // Provides the partial text of an aborted answer.
  "--include-partial-messages",
  // Claude Code waits for `initialize`, and takes settings from it: older versions have neither flag.
  "--await-initialize",
  "--initialize-fields=settings",
];

/** Everything that Claude Code is told at its start; the prompt is separate. */
export function launchOf(request: LaunchRequest): Launch {
  const { claudePath, projectDir, env, allowance } = request;
  return {
    command: [...(isJavaScript(claudePath) ? ["node"] : []), claudePath, ...argumentsOf(request)],
    projectDir,
    env,
    initialize: initializeOf(request),
    allowance,
  };
}

/** `--name=value` in one argument: a value that begins with a dash is no option then. */
function argumentsOf({ settings, resume, allowance }: LaunchRequest): string[] {
  const option = (name: string, value: string | number | null | undefined): string[] =>
    value === null || value === undefined ? [] : [`--${name}=${value}`];
  return [
    ...PROTOCOL,
    ...permissionArguments(allowance, settings.permissionMode),
    ...option("resume", resume),
    ...option("allowedTools", settings.allowedTools.length === 0 ? null : settings.allowedTools.join(",")),
    ...option("disallowedTools", [...settings.disallowedTools, ...DISABLED_TOOLS].join(",")),
    ...option("model", settings.model),
    ...option("setting-sources", settings.settingSources?.join(",")),
    ...option("max-turns", settings.maxTurns),
    ...option("max-budget-usd", settings.maxBudgetUsd),
  ];
}

const OutputSchema = v.looseObject({ output_schema: v.record(v.string(), v.unknown()) });

function initializeOf({ settings, blueprint, mcpServers, pinned }: LaunchRequest): Record<string, unknown> {
  const append = [blueprint?.system_prompt, settings.appendSystemPrompt].filter(Boolean).join("\n\n");
  const output = v.safeParse(OutputSchema, blueprint);
  return {
    settings: pinned,
    ...(append === "" ? {} : { appendSystemPrompt: append }),
    ...(Object.keys(mcpServers).length === 0 ? {} : { mcpServers }),
    ...(output.success ? { jsonSchema: output.output.output_schema } : {}),
  };
}
