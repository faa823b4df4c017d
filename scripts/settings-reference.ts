// `bun run scripts/settings-reference.ts` writes docs/configuration.md: every setting, from the schema that parses it and the table of --help.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type * as v from "valibot";
import { allCommandModels } from "../src/commands/command-table.ts";
import { SETTINGS, type SettingName } from "../src/config/settings.ts";
import { Address, Age, Duration, Flag, HttpUrl, List, Seconds, Secret, Size, Text } from "../src/config/values.ts";

export const REFERENCE_FILE = join(import.meta.dir, "..", "docs", "configuration.md");

/** Of settings that no flag describes. */
const ABOUT: Partial<Record<SettingName, string>> = {
  coordinatorKeepMs: "How long the embedded coordinator keeps what has ended",
  invocationSchema: "Version of the invocation that executors read; 2.2 for those of the second generation",
  outputLimitBytes: "What is kept of an executor's stdout, and of its stderr; the oldest part is dropped",
  pollTimeoutSeconds:
    "How long a poll may stay open. The coordinator's own value where it is longer, or where none is set",
  heartbeatIntervalSeconds: "Time between heartbeats. The coordinator's own value where none is set",
  gatewayScope: "What executors may use: their own tree of sessions, or (coordinator) read everything",
  mcpToken: "Token for --mcp-port, at least 16 characters; one is made once and kept in the state folder",
  retentionMaxAgeMs: "Run folders that are older are removed (0: no limit, here and below)",
  retentionMaxBytes: "The oldest run folders beyond this size are removed",
  retentionMaxRuns: "So many run folders are kept",
  auth0Domain: "OIDC client credentials; nothing of it is used unless all four are set",
  auth0ClientId: "As auth0.domain",
  auth0ClientSecret: "As auth0.domain",
  auth0Audience: "As auth0.domain",
};

const KINDS = new Map<v.GenericSchema, string>([
  [Address, "address"],
  [Age, "time"],
  [Duration, "time"],
  [Seconds, "time"],
  [Flag, "true or false"],
  [HttpUrl, "URL"],
  [List, "list"],
  [Secret, "secret"],
  [Size, "size"],
  [Text, "text"],
]);

interface Setting {
  readonly schema: v.GenericSchema;
  readonly flag?: string;
  readonly env?: string;
  readonly file?: string;
  readonly default?: unknown;
}

/** The text of docs/configuration.md. Throws for a setting that nothing describes. */
export async function settingsReference(): Promise<string> {
  const described = new Map(
    (await allCommandModels()).flatMap(({ options }) => options.map((option) => [option.long, option] as const)),
  );
  const rows = (Object.entries(SETTINGS) as [SettingName, Setting][]).map(([name, setting]) => {
    const option = described.get(`--${setting.flag}`);
    const about = ABOUT[name] ?? option?.description;
    if (about === undefined)
      throw new Error(`scripts/settings-reference.ts: nothing says what the setting ${name} is for`);
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
    ["in the file", "flag", "variable", "value", "default", ""],
    Array.from({ length: 6 }, () => "---"),
    ...rows,
  ];
  return `<!-- Made by scripts/settings-reference.ts from src/config/settings.ts. Do not edit. -->
# Settings

A flag beats the environment, which beats the settings file, which beats the default. A variable that is empty counts as not set. The file is
TOML: \`--config FILE\`, else \`agent-runner/config.toml\` in your configuration folder (\`~/.config\`, or \`XDG_CONFIG_HOME\`). Nothing is ever read
from the current folder. All faults are told at once, each with where it came from. Relative paths are relative to the current folder.

- time: seconds, or a number with a unit: \`500ms\`, \`30s\`, \`5m\`, \`2h\`, \`30d\`. Where a time is a limit, 0 is no limit.
- size: bytes, or a number with a unit: \`64MiB\`, \`1G\`.
- list: \`a,b\`, in the file \`["a", "b"]\` too.
- address: \`127.0.0.1:9464\`, \`[::1]:9464\`, or a port alone, which is one of 127.0.0.1.

${table.map((row) => `| ${row.join(" | ")} |`).join("\n")}

Tables \`[executors.NAME]\` of the file are handed to the executor of that name as they stand. Tracing is set by the standard
\`OTEL_*\` variables alone: see [operating.md](operating.md#traces).

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
  return String(value);
}

function code(text: string | undefined): string {
  return text === undefined ? "" : `\`${text}\``;
}

if (import.meta.main) writeFileSync(REFERENCE_FILE, await settingsReference());
