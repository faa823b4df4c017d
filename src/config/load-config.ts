import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { describeError, ExitCode, UserError } from "../errors.ts";
import { absolutePath, expandHome } from "../paths.ts";
import { shownPath } from "../shell-word.ts";
import { type Environment, type UserFolders, userFolders } from "./environment.ts";
import { nearest } from "./nearest.ts";
import { readSettingsText } from "./settings-text.ts";
import { SETTINGS, type SettingName, type Settings } from "./settings.ts";
import { Path, PathOrName } from "./values.ts";

/** OIDC client credentials, if all four settings are set. */
export interface ClientCredentials {
  readonly domain: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly audience: string;
}

/** All settings, parsed once and frozen. Paths are absolute. */
export interface Config extends Omit<
  Settings,
  `auth0${string}` | `retention${string}` | `max${"Depth" | "Children" | "TreeRuns"}`
> {
  readonly projectDir: string;
  readonly stateDir: string;
  readonly folders: UserFolders;
  readonly credentials: ClientCredentials | null;
  /** Limits for run folders; 0 is no limit. */
  readonly retention: { readonly maxAgeMs: number; readonly maxBytes: number; readonly maxRuns: number };
  /** Limits for the tree of sessions that agents may start; 0 is no limit. */
  readonly treeLimits: { readonly maxDepth: number; readonly maxChildren: number; readonly maxTreeRuns: number };
  /** The tables `[executors.<name>]` of the settings file, passed unchanged to the executor of that name. */
  readonly executors: Readonly<Record<string, ExecutorTable>>;
  /** The settings file; null without one. */
  readonly configFile: string | null;
  /** Warnings to log once. */
  readonly warnings: readonly string[];
}

export type ExecutorTable = Readonly<Record<string, unknown>>;

/** The options of the command line by long name. */
export type Flags = Readonly<Record<string, string | boolean | undefined>>;

interface Candidate {
  readonly value: unknown;
  readonly source: string;
}

/**
 * Loads the settings: flags over environment over the TOML file over defaults. The file is that of `--config`, else
 * `config.toml` in the user's configuration folder, never one from the current folder. Throws one UserError with all
 * faults, each with its source.
 */
export function loadConfig(flags: Flags, env: Environment, cwd: string = process.cwd()): Config {
  const folders = userFolders(env);
  const faults: string[] = [];
  const home = env["HOME"] || homedir();
  const place = { cwd, home };
  const trusted = inPlace("trustedFolders", readSetting("trustedFolders", flags, env, null, faults), place);
  const trustedFolders = trusted as Settings["trustedFolders"];
  const file = readSettingsFile(flags["config"], folders, { ...place, trustedFolders }, faults);
  const settings: Record<string, unknown> = {};
  for (const name of Object.keys(SETTINGS) as SettingName[]) {
    settings[name] = inPlace(name, readSetting(name, flags, env, file, faults), place);
  }
  if (settings["mcpPort"] !== undefined && settings["externalMcpUrl"] !== undefined) {
    faults.push(
      "--mcp-port (RUNNER_MCP_PORT, mcp.port) and --external-mcp-url (RUNNER_EXTERNAL_MCP_URL, mcp.external_url) " +
        "exclude each other",
    );
  }
  if (settings["noToken"] === true && settings["coordinatorToken"] !== undefined) {
    faults.push(
      "--no-token (AGENT_COORDINATOR_NO_TOKEN, coordinator.no_token) and --token (AGENT_COORDINATOR_TOKEN, " +
        "coordinator.token) exclude each other",
    );
  }
  const database = flags["database"];
  if (typeof database === "string" && holdsPassword(database)) {
    faults.push(
      "--database: every user of this machine would see its password in the process list; put the URL into " +
        "AGENT_COORDINATOR_DATABASE, or into coordinator.database of the settings file",
    );
  }
  if (faults.length > 0) {
    throw new UserError(faults.length === 1 ? `Bad setting: ${faults[0]}` : `Bad settings:\n  ${faults.join("\n  ")}`, {
      exitCode: ExitCode.usage,
    });
  }
  // Keeps one of the two: -x beats a path from the environment or the file, which beats a name from the file.
  if (flags["executor"] !== undefined) settings["executorPath"] = undefined;
  if (settings["executorPath"] !== undefined) settings["executor"] = undefined;
  return freeze(settings as Settings, folders, file, cwd);
}

/** What the relative paths of a process start from. */
interface Place {
  readonly cwd: string;
  readonly home: string;
}

/** Whether a URL holds a password. What cannot be read as a URL is taken to hold one. */
function holdsPassword(text: string): boolean {
  const url = URL.parse(text);
  return url === null || url.password !== "" || url.searchParams.has("password");
}

function inPlace(name: SettingName, value: unknown, { cwd, home }: Place): unknown {
  const { schema } = SETTINGS[name];
  if (name === "trustedFolders") return (value as readonly string[]).map((path) => absolutePath(path, cwd, home));
  if (typeof value !== "string") return value;
  if (schema === Path) return absolutePath(value, cwd, home);
  return schema === PathOrName ? expandHome(value, home) : value;
}

function freeze(settings: Settings, folders: UserFolders, file: SettingsFile | null, cwd: string): Config {
  const { auth0Domain, auth0ClientId, auth0ClientSecret, auth0Audience, ...others } = settings;
  const { retentionMaxAgeMs, retentionMaxBytes, retentionMaxRuns, maxDepth, maxChildren, maxTreeRuns, ...rest } =
    others;
  const warnings: string[] = [];
  return Object.freeze({
    ...rest,
    projectDir: rest.projectDir ?? cwd,
    stateDir: rest.stateDir ?? absolutePath(folders.state, cwd),
    folders,
    credentials: credentialsOf(
      {
        AUTH0_DOMAIN: auth0Domain,
        AUTH0_RUNNER_CLIENT_ID: auth0ClientId,
        AUTH0_RUNNER_CLIENT_SECRET: auth0ClientSecret,
        AUTH0_AUDIENCE: auth0Audience,
      },
      warnings,
    ),
    retention: { maxAgeMs: retentionMaxAgeMs, maxBytes: retentionMaxBytes, maxRuns: retentionMaxRuns },
    treeLimits: { maxDepth, maxChildren, maxTreeRuns },
    executors: file?.executors ?? {},
    configFile: file?.path ?? null,
    warnings,
  });
}

function credentialsOf(four: Record<string, string | undefined>, warnings: string[]): ClientCredentials | null {
  const missing = Object.keys(four).filter((name) => !four[name]);
  if (missing.length === 4) return null;
  if (missing.length > 0) {
    warnings.push(`Authentication is off: ${missing.join(", ")} not set, and all four AUTH0 settings are needed`);
    return null;
  }
  return {
    domain: four["AUTH0_DOMAIN"] ?? "",
    clientId: four["AUTH0_RUNNER_CLIENT_ID"] ?? "",
    clientSecret: four["AUTH0_RUNNER_CLIENT_SECRET"] ?? "",
    audience: four["AUTH0_AUDIENCE"] ?? "",
  };
}

function readSetting(
  name: SettingName,
  flags: Flags,
  env: Environment,
  file: SettingsFile | null,
  faults: string[],
): unknown {
  const setting = SETTINGS[name];
  const candidate = pick(setting, flags, env, file);
  if (candidate === undefined) return "default" in setting ? setting.default : undefined;
  const parsed = v.safeParse(setting.schema, candidate.value);
  if (parsed.success) return parsed.output;
  faults.push(`${candidate.source}: ${parsed.issues[0].message}`);
  return undefined;
}

function pick(
  setting: { flag?: string; env?: string; file?: string },
  flags: Flags,
  env: Environment,
  file: SettingsFile | null,
): Candidate | undefined {
  if (setting.flag !== undefined && flags[setting.flag] !== undefined) {
    return { value: flags[setting.flag], source: `--${setting.flag}` };
  }
  // An empty variable counts as not set: service files and shells clear variables so.
  if (setting.env !== undefined && env[setting.env])
    return { value: env[setting.env], source: `${setting.env} (environment)` };
  if (setting.file !== undefined && file !== null && file.values.has(setting.file)) {
    return { value: file.values.get(setting.file), source: `${setting.file} (${file.path})` };
  }
  return undefined;
}

interface SettingsFile {
  readonly path: string;
  /** Dotted path to value. */
  readonly values: ReadonlyMap<string, unknown>;
  readonly executors: Readonly<Record<string, ExecutorTable>>;
}

function readSettingsFile(
  flag: string | boolean | undefined,
  folders: UserFolders,
  { cwd, home, trustedFolders }: Place & Pick<Settings, "trustedFolders">,
  faults: string[],
): SettingsFile | null {
  const path = typeof flag === "string" ? absolutePath(flag, cwd, home) : join(folders.config, "config.toml");
  if (!existsSync(path)) {
    if (typeof flag === "string") faults.push(`--config: ${path} does not exist`);
    return null;
  }
  try {
    const { executors = {}, ...ours } = readSettingsText(path, { trustedFolders });
    const values = flatten(ours);
    const known = Object.values(SETTINGS).flatMap((s) => ("file" in s ? [s.file as string] : []));
    for (const key of values.keys()) {
      if (known.includes(key)) continue;
      const meant = nearest(key, known);
      faults.push(`${key} (${path}): there is no such setting${meant === undefined ? "" : `; did you mean ${meant}?`}`);
    }
    return { path, values, executors: executorTables(executors, path, faults) };
  } catch (error) {
    faults.push(`${shownPath(path)}: ${describeError(error)}`);
    return null;
  }
}

/** The tables for executors. Each executor checks its own. */
function executorTables(executors: unknown, path: string, faults: string[]): Record<string, ExecutorTable> {
  const parsed = v.safeParse(v.record(v.string(), v.record(v.string(), v.unknown())), executors);
  if (parsed.success) return parsed.output;
  const where = ["executors", v.getDotPath(parsed.issues[0])].filter(Boolean).join(".");
  faults.push(`${where} (${path}): must be a table: [executors.<name of the executor>] with its settings below`);
  return {};
}

function flatten(table: object, prefix = "", into = new Map<string, unknown>()): Map<string, unknown> {
  for (const [key, value] of Object.entries(table)) {
    const path = prefix === "" ? key : `${prefix}.${key}`;
    if (typeof value === "object" && value !== null && !Array.isArray(value)) flatten(value, path, into);
    else into.set(path, value);
  }
  return into;
}
