// `bun run scripts/settings-reference.ts` writes docs/configuration.md from the settings' schemas and the table of
// --help.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type * as v from "valibot";
import { allCommandModels } from "../src/commands/command-table.ts";
import { SETTINGS, type SettingName } from "../src/config/settings.ts";
import {
  Address,
  Age,
  Duration,
  Flag,
  HttpUrl,
  List,
  Origins,
  Path,
  PathOrName,
  Seconds,
  Secret,
  Size,
  Text,
} from "../src/config/values.ts";

export const REFERENCE_FILE = join(import.meta.dir, "..", "docs", "configuration.md");

/** Descriptions of settings without a flag. */
const ABOUT: Partial<Record<SettingName, string>> = {
  durability: "What an acknowledged write survives: a power cut (disk), or a crash of the process only (process)",
  coordinatorKeepMs: "How long the built-in coordinator keeps ended runs and sessions",
  eventsLimitBytes: "Size of the events that one run may send (0: no limit); further ones are dropped and counted",
  invocationSchema:
    "Version of the invocation for executors (auto: as the coordinator has it, 2.2 for the second generation)",
  outputLimitBytes: "Size kept of an executor's stdout, and of its stderr; the oldest part is dropped",
  pollTimeoutSeconds: "Longest time of a poll. The coordinator's value if that is longer, or if none is set",
  heartbeatIntervalSeconds: "Time between heartbeats. The coordinator's value if none is set",
  gatewayScope: "What executors can read: their own tree of sessions, or everything (coordinator)",
  childAttempts: "Attempts that an agent may allow for a run, even if its own run has fewer",
  childrenAnywhere: "Let agents start runs in any project folder and at any runner",
  mcpToken: "Token for --mcp-port, at least 16 characters. Default: a random one in the state folder",
  retentionMaxAgeMs: "Remove older run folders (0: no limit)",
  retentionMaxBytes: "Remove the oldest run folders beyond this total size (0: no limit)",
  retentionMaxRuns: "Remove the oldest run folders beyond this number (0: no limit)",
  auth0Domain: "OIDC client credentials, used only if all four are set",
  auth0ClientId: "See auth0.domain",
  auth0ClientSecret: "See auth0.domain",
  auth0Audience: "See auth0.domain",
};

const KINDS = new Map<v.GenericSchema, string>([
  [Address, "address"],
  [Age, "time"],
  [Duration, "time"],
  [Seconds, "time"],
  [Flag, "true or false"],
  [HttpUrl, "URL"],
  [List, "list"],
  [Origins, "list"],
  [Secret, "secret"],
  [Size, "size"],
  [Path, "path"],
  [PathOrName, "path"],
  [Text, "text"],
]);

interface Setting {
  readonly schema: v.GenericSchema;
  readonly flag?: string;
  readonly env?: string;
  readonly file?: string;
  readonly default?: unknown;
}

/** The text of docs/configuration.md. Throws for a setting without a description. */
export async function settingsReference(): Promise<string> {
  const described = new Map(
    (await allCommandModels()).flatMap(({ options }) => options.map((option) => [option.long, option] as const)),
  );
  const rows = (Object.entries(SETTINGS) as [SettingName, Setting][]).map(([name, setting]) => {
    const option = described.get(`--${setting.flag}`);
    const about = ABOUT[name] ?? withoutColumns(option?.description, setting);
    if (about === undefined) throw new Error(`scripts/settings-reference.ts: the setting ${name} has no description`);
    const flag =
      setting.flag === undefined
        ? ""
        : [code(`--${setting.flag}`), ...(option?.short ? [code(option.short)] : [])].join(", ");
    return [
      code(setting.file),
      flag,
      code(setting.env),
      kindOf(setting.schema),
      code(shown(name, setting.default)),
      about.replaceAll("|", "\\|"),
    ];
  });
  const table = [
    ["in the file", "flag", "variable", "value", "default", "meaning"],
    Array.from({ length: 6 }, () => "---"),
    ...rows,
  ];
  return `<!-- Made by scripts/settings-reference.ts from src/config/settings.ts. Do not edit. -->
# Settings

A flag beats the environment, which beats the settings file, which beats the default. An empty variable counts as not
set. All mistakes are reported at once, each with its source. Relative paths start at the current folder,
and \`~\` is your home folder.

The settings file is TOML: \`--config FILE\`, else \`agent-runner/config.toml\` in your configuration folder
(\`~/.config\`, or \`XDG_CONFIG_HOME\`). No file is ever read from the current folder.

- time: seconds, or a number with a unit: \`500ms\`, \`30s\`, \`5m\`, \`2h\`, \`30d\`. A limit of 0 is no limit.
- size: bytes, or a number with a unit: \`64MiB\`, \`1G\`.
- list: \`a,b\`; in the file also \`["a", "b"]\`.
- address: \`127.0.0.1:9464\`, \`[::1]:9464\`, or a port alone, which means 127.0.0.1.

${table.map((row) => `| ${row.join(" | ")} |`).join("\n")}

A table \`[executors.NAME]\` of the file goes unchanged to the executor of that name. Tracing has no settings of its
own: the standard \`OTEL_*\` variables configure it ([operating.md](operating.md#traces)).

\`\`\`toml
[coordinator]
url = "http://coordinator:8765"

[executor]
name = "claude-code"

[runner]
project_dir = "/srv/project"
tags = ["gpu", "linux"]
drain_timeout = "60s"

[metrics]
listen = "127.0.0.1:9464"
\`\`\`
`;
}

/** The description of an option without the variable and the default, which have columns of their own. */
function withoutColumns(description: string | undefined, setting: Setting): string | undefined {
  return description?.replace(/ \(([^()]*)\)$/, (_, inside: string) => {
    const parts = inside
      .split("; ")
      .filter((part) => !part.startsWith("overrides ") && !(part.startsWith("default ") && "default" in setting));
    return parts.length === 0 ? "" : ` (${parts.join("; ")})`;
  });
}

function kindOf(schema: v.GenericSchema): string {
  const known = KINDS.get(schema);
  if (known !== undefined) return known;
  if (schema.type === "picklist" && "options" in schema)
    return (schema.options as readonly string[]).map(code).join(" or ");
  if (schema.type === "union") return "whole number";
  return "pipe" in schema ? "secret" : "text";
}

function shown(name: SettingName, value: unknown): string | undefined {
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return undefined;
  if (name.endsWith("Bytes")) return `${Number(value) / 1024 ** 2}MiB`;
  if (name === "retentionMaxAgeMs" || name === "coordinatorKeepMs") return `${Number(value) / 86_400_000}d`;
  if (name === "abandonAfterMs") return `${Number(value) / 3_600_000}h`;
  if (name === "lostAfterMs") return `${Number(value) / 60_000}m`;
  return String(value);
}

function code(text: string | undefined): string {
  return text === undefined ? "" : `\`${text}\``;
}

if (import.meta.main) writeFileSync(REFERENCE_FILE, await settingsReference());
