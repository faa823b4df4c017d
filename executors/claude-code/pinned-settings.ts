import { dirname, join, resolve } from "node:path";
import * as v from "valibot";
import { readText, userSettingsPath } from "./config-files.ts";
import type { ClaudeSettings } from "./settings.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Commands that supply credentials or headers. */
const HELPERS = [
  "apiKeyHelper",
  "proxyAuthHelper",
  "otelHeadersHelper",
  "awsAuthRefresh",
  "awsCredentialExport",
  "gcpAuthRefresh",
] as const;

/** Where prompts and credentials go. Pinned in every run, because a checkout can change while the agent works. */
const ROUTES = [
  ...["BEDROCK", "VERTEX", "FOUNDRY", "ANTHROPIC_AWS", "ANTHROPIC_GOOGLE_CLOUD", "MANTLE", "GATEWAY"].map(
    (name) => `CLAUDE_CODE_USE_${name}`,
  ),
  ...["", "_BEDROCK", "_VERTEX", "_FOUNDRY", "_AWS", "_GOOGLE_CLOUD", "_BEDROCK_MANTLE"].map(
    (name) => `ANTHROPIC${name}_BASE_URL`,
  ),
  "ANTHROPIC_API_KEY",
  "ANTHROPIC_AUTH_TOKEN",
  "ANTHROPIC_CUSTOM_HEADERS",
  "ANTHROPIC_UNIX_SOCKET",
  "CLAUDE_CODE_API_BASE_URL",
  "CLAUDE_CODE_OAUTH_TOKEN",
  "CLAUDE_CODE_ENABLE_TELEMETRY",
  "NODE_TLS_REJECT_UNAUTHORIZED",
  ...["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"].flatMap((name) => [name, name.toLowerCase()]),
];

/** Further variables of that kind. Pinned if the checkout sets them: an empty value of some of them has a meaning. */
const FURTHER_ROUTES = new RegExp(
  [
    "^(?:\\w+_)?(?:HTTPS?_|ALL_|NO_)?PROXY$",
    "^(?:_?CLAUDE|_?ANTHROPIC|AWS|GOOGLE|GCLOUD|GCE|CLOUD_ML|VERTEX|OTEL|BETA_TRACING)_\\w*" +
      "(?:URL|URI|ENDPOINT|HOST|SOCKET|KEY|TOKEN|SECRET|HEADERS|CREDENTIALS|CREDS|PROFILE|ROLE_ARN|CONFIG_FILE|" +
      "AUTH|CERT|CERTIFICATE|FILE_DESCRIPTOR|PROJECT|REGION|EXPORTER|RESOURCE)\\w*$",
    "^METADATA_",
    "^(?:NODE|BUN)_(?:EXTRA_CA_CERTS|TLS_\\w+)$",
    "^SSL_CERT_(?:FILE|DIR)$",
    "^CURL_CA_BUNDLE$",
  ].join("|"),
  "i",
);

/** Empty values unset what the checkout sets. */
export type PinnedSettings = Readonly<Record<(typeof HELPERS)[number], string>> & {
  readonly env: Readonly<Record<string, string>>;
};

const SettingsFile = v.looseObject({ env: v.nullish(v.record(v.string(), v.unknown()), {}) });
type SettingsFile = v.InferOutput<typeof SettingsFile>;
const NOTHING: SettingsFile = { env: {} };

/**
 * Settings of Claude Code with which a checkout cannot choose where prompts and credentials go, or run a command that
 * supplies credentials. They have precedence over the settings files of the project. Their values come from outside
 * the checkout: the user's settings file, else the environment, else none. They may be secrets, so they must not be
 * in arguments.
 */
export function pinnedSettings(settings: ClaudeSettings, projectDir: string, env: Environment): PinnedSettings {
  const user = settings.settingSources?.includes("user") === false ? NOTHING : readSettings(userSettingsPath(env));
  const inCheckout = checkoutSettingsPaths(projectDir).flatMap((path) => Object.keys(readSettings(path).env ?? {}));
  const names = new Set([...ROUTES, ...inCheckout.filter((name) => FURTHER_ROUTES.test(name))]);
  const valueOf = (name: string): string => textOf(user.env?.[name]) ?? env[name] ?? "";
  const helpers = HELPERS.map((helper) => [helper, textOf(user[helper]) ?? ""] as const);
  return {
    ...(Object.fromEntries(helpers) as Record<(typeof HELPERS)[number], string>),
    env: Object.fromEntries([...names].map((name) => [name, valueOf(name)])),
  };
}

/**
 * Where Claude Code may find settings of a project: its folder, the folders above, and the main checkout of a git
 * worktree.
 */
function checkoutSettingsPaths(projectDir: string): string[] {
  const folders: string[] = [];
  for (let at = resolve(projectDir); ; at = dirname(at)) {
    folders.push(at, ...mainCheckoutOf(at));
    if (dirname(at) === at) break;
  }
  return folders.flatMap((folder) => ["settings.json", "settings.local.json"].map((n) => join(folder, ".claude", n)));
}

/** The `.git` of a worktree is a file that names `MAIN/.git/worktrees/NAME`. */
function mainCheckoutOf(folder: string): string[] {
  const target = /^gitdir: *(.+)\/\.git\/worktrees\/[^/]+\s*$/.exec(readText(join(folder, ".git")) ?? "")?.[1];
  return target === undefined ? [] : [resolve(folder, target)];
}

function readSettings(path: string): SettingsFile {
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), SettingsFile), readText(path));
  return parsed.success ? parsed.output : NOTHING;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? String(value)
    : undefined;
}
