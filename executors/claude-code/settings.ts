import * as v from "valibot";

type Environment = Readonly<Record<string, string | undefined>>;

/** The settings of this executor. Times are in ms; 0: no limit. */
export interface ClaudeSettings {
  /** The path of Claude Code, or a name to find on PATH. */
  readonly path: string | undefined;
  readonly model: string | undefined;
  readonly permissionMode: v.InferOutput<typeof PermissionMode>;
  readonly allowedTools: readonly string[];
  readonly disallowedTools: readonly string[];
  /** Undefined: all sources, Claude Code's default. */
  readonly settingSources: readonly v.InferOutput<typeof SettingSource>[] | undefined;
  readonly maxTurns: number | undefined;
  readonly maxBudgetUsd: number | undefined;
  readonly appendSystemPrompt: string | undefined;
  /** Whether commands (`/name`) and mentions (`@path`) in a prompt have an effect. */
  readonly commands: boolean;
  readonly stallTimeoutMs: number;
  readonly backgroundWaitMs: number;
  /** Whether the types of ignored messages are written to stderr. */
  readonly debugMessages: boolean;
}

export type ParsedSettings =
  | { readonly ok: true; readonly settings: ClaudeSettings }
  /** All faults, each with its key or variable. */
  | { readonly ok: false; readonly faults: readonly string[] };

const Text = v.pipe(v.string("must be a string"), v.trim(), v.minLength(1, "is empty"));
const List = v.pipe(
  v.union([v.string(), v.array(v.string())], "must be a list of names"),
  v.transform((value) =>
    typeof value === "string" ? splitNames(value) : value.map((name) => name.trim()).filter(Boolean),
  ),
);
const PermissionMode = v.picklist(
  ["bypassPermissions", "acceptEdits", "dontAsk", "auto", "default", "plan"],
  "must be bypassPermissions, acceptEdits, dontAsk, auto, default or plan",
);
const SettingSource = v.picklist(["user", "project", "local"], "must be a list of user, project, local, or none");
const SettingSources = v.pipe(
  List,
  v.transform((names) => (names.length === 1 && names[0] === "none" ? [] : names)),
  v.array(SettingSource),
);

/** Accepts a string too: a variable has a string where the file has a number. */
function number(isValid: (value: number) => boolean, message: string) {
  const toNumber = (value: string | number): number => (value === "" ? Number.NaN : Number(value));
  return v.pipe(v.union([v.string(), v.number()], message), v.transform(toNumber), v.check(isValid, message));
}
const Turns = number((value) => Number.isSafeInteger(value) && value >= 1, "must be a whole number of at least 1");
const Dollars = number((value) => Number.isFinite(value) && value > 0, "must be a number of dollars above 0");

const Flag = v.pipe(
  v.union([v.boolean(), v.picklist(["true", "false"])], "must be true or false"),
  v.transform((value) => String(value) === "true"),
);

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, "": 1000, m: 60_000, h: 3_600_000 };
const TIME = "must be seconds (90) or a number with a unit (30s, 10m, 2h), at most 24 days; 0 is no limit";
/** The maximum of setTimeout. */
const MAX_MS = 2 ** 31 - 1;
const Time = v.pipe(
  v.union([v.string(), v.number()], TIME),
  v.transform((value) => /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|)$/.exec(String(value).trim())),
  v.transform((match) => (match === null ? Number.NaN : Number(match[1]) * (UNIT_MS[match[2] ?? ""] ?? 0))),
  v.check((ms) => ms >= 0 && ms <= MAX_MS, TIME),
);

/**
 * Schemas by key in `[executors.claude-code]`; the second generation's profiles use the same keys. The variable is
 * `CLAUDE_CODE_` and the key in capitals.
 */
const SCHEMAS = {
  path: Text,
  model: Text,
  permission_mode: PermissionMode,
  allowed_tools: List,
  disallowed_tools: List,
  setting_sources: SettingSources,
  max_turns: Turns,
  max_budget_usd: Dollars,
  append_system_prompt: Text,
  commands: Flag,
  stall_timeout: Time,
  background_wait: Time,
  debug_messages: Flag,
} as const;
type Key = keyof typeof SCHEMAS;
const KEYS = Object.keys(SCHEMAS) as Key[];

/** The variables with settings of this executor. */
export const SETTING_VARIABLES: readonly string[] = KEYS.map(variableOf);

/** Reads the settings. A variable wins over the table; an empty variable and null count as not set. */
export function parseSettings(table: Readonly<Record<string, unknown>>, env: Environment): ParsedSettings {
  const faults: string[] = [];
  for (const key of Object.keys(table)) {
    if (!Object.hasOwn(SCHEMAS, key)) faults.push(`${key}: unknown setting; the settings are ${KEYS.join(", ")}`);
  }
  const read = <K extends Key>(key: K): v.InferOutput<(typeof SCHEMAS)[K]> | undefined => {
    const variable = env[variableOf(key)];
    const value = variable || table[key];
    if (value === undefined || value === null) return undefined;
    const parsed = v.safeParse(SCHEMAS[key], value);
    if (parsed.success) return parsed.output;
    faults.push(`${variable ? variableOf(key) : key}: ${parsed.issues[0].message}`);
    return undefined;
  };
  const settings: ClaudeSettings = {
    path: read("path"),
    model: read("model"),
    permissionMode: read("permission_mode") ?? "bypassPermissions",
    allowedTools: read("allowed_tools") ?? [],
    disallowedTools: read("disallowed_tools") ?? [],
    settingSources: read("setting_sources"),
    maxTurns: read("max_turns"),
    maxBudgetUsd: read("max_budget_usd"),
    appendSystemPrompt: read("append_system_prompt"),
    commands: read("commands") ?? false,
    stallTimeoutMs: read("stall_timeout") ?? 15 * 60_000,
    backgroundWaitMs: read("background_wait") ?? 10 * 60_000,
    debugMessages: read("debug_messages") ?? false,
  };
  return faults.length === 0 ? { ok: true, settings } : { ok: false, faults };
}

function variableOf(key: string): string {
  return `CLAUDE_CODE_${key.toUpperCase()}`;
}

/** Splits at commas, except inside the parentheses of a rule: `Bash(git log:*, -n),Read`. */
function splitNames(text: string): string[] {
  return (text.match(/(?:\([^)]*\)|[^,(])+/g) ?? []).map((name) => name.trim()).filter(Boolean);
}
