import { accessSync, constants, existsSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, isAbsolute, join } from "node:path";
import { clip, errorCode } from "../../src/errors.ts";
import { developmentClaude } from "./development-claude.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** The user's own Claude Code, or why there is none that can be used and what to do about it. */
export type FoundClaude =
  | { readonly ok: true; readonly path: string; readonly from: "the setting" | "PATH" | "the npm package" }
  | ClaudeFault;
export interface ClaudeFault {
  readonly ok: false;
  readonly reason: string;
  readonly hint: string;
}

/**
 * The oldest Claude Code that takes MCP servers over its stdin (measured: 2.1.325 does not). An older one would have to be given them on
 * its command line, where every user of the machine reads the credentials in their headers.
 */
const MINIMUM_VERSION = "2.1.326";

const PROGRAM = process.platform === "win32" ? "claude.exe" : "claude";
const INSTALL =
  "install it (https://code.claude.com/docs/en/setup), or say where it is: CLAUDE_CODE_PATH, or path in [executors.claude-code]";
const UPDATE = "update it: claude update";

/**
 * In this order: the setting, `claude` on PATH, and, in development only, the npm package. Folders of PATH that are relative do not
 * count: they would lie in the project that an agent works on.
 */
export function findClaude(setting: string | undefined, env: Environment): FoundClaude {
  if (setting !== undefined) return ofSetting(setting, env);
  const onPath = lookUp(PROGRAM, env);
  if (onPath !== undefined) return { ok: true, path: onPath, from: "PATH" };
  if (!Bun.isStandaloneExecutable) {
    const { program } = developmentClaude();
    if (existsSync(program)) return { ok: true, path: program, from: "the npm package" };
  }
  return { ok: false, reason: `there is no Claude Code: ${PROGRAM} is not on PATH`, hint: INSTALL };
}

function ofSetting(setting: string, env: Environment): FoundClaude {
  if (!/[/\\]/.test(setting)) {
    const path = lookUp(setting, env);
    if (path !== undefined) return { ok: true, path, from: "the setting" };
    return { ok: false, reason: `there is no Claude Code: ${setting} is not on PATH`, hint: INSTALL };
  }
  const path = setting.startsWith("~/") ? join(env["HOME"] || homedir(), setting.slice(2)) : setting;
  if (!isAbsolute(path))
    return { ok: false, reason: `the path of Claude Code, ${path}, is not absolute`, hint: "begin it with / or ~/" };
  const fault = faultOfFile(path);
  if (fault === null) return { ok: true, path, from: "the setting" };
  return { ok: false, reason: `there is no Claude Code at ${path}: ${fault}`, hint: INSTALL };
}

function lookUp(name: string, env: Environment): string | undefined {
  const folders = (env["PATH"] ?? "").split(delimiter).filter(isAbsolute);
  return folders.map((folder) => join(folder, name)).find((path) => faultOfFile(path) === null);
}

function faultOfFile(path: string): string | null {
  try {
    if (!statSync(path).isFile()) return "it is not a file";
    // JavaScript needs no run bit: Node runs it.
    if (!isJavaScript(path)) accessSync(path, constants.X_OK);
    return null;
  } catch (error) {
    const code = errorCode(error);
    return code === "ENOENT" ? "it does not exist" : code === "EACCES" ? "it may not be run" : String(code ?? error);
  }
}

/** A file that has to be run by Node; the SDK goes by the same rule. */
export function isJavaScript(path: string): boolean {
  return /\.[cm]?js$/.test(path);
}

const ASK_MS = 20_000;

/** Asks the program for its version (`2.1.330`); a fault if it tells none, or one below {@link MINIMUM_VERSION}. */
export function askVersion(
  path: string,
  env: Environment,
): { readonly ok: true; readonly version: string } | ClaudeFault {
  const { said, failure } = ask(path, ["--version"], env);
  const version = /\b\d+\.\d+\.\d+\b/.exec(said)?.[0];
  if (version === undefined)
    return { ok: false, reason: `${path} does not tell its version: ${failure ?? clip(said.trim())}`, hint: INSTALL };
  if (Bun.semver.order(version, MINIMUM_VERSION) >= 0) return { ok: true, version };
  const why =
    "older ones take the credentials of MCP servers on their command line only, where all users of the machine read them";
  return {
    ok: false,
    reason: `Claude Code ${version} at ${path} is too old: ${MINIMUM_VERSION} is needed, as ${why}`,
    hint: UPDATE,
  };
}

/** Asks the program, which asks nobody on the network. Null where it says neither yes nor no. */
export function askLoggedIn(path: string, env: Environment): boolean | null {
  const loggedIn = /"loggedIn":\s*(true|false)/.exec(ask(path, ["auth", "status"], env).said)?.[1];
  return loggedIn === undefined ? null : loggedIn === "true";
}

function ask(path: string, words: readonly string[], env: Environment): { said: string; failure?: string } {
  const command = isJavaScript(path) ? ["node", path, ...words] : [path, ...words];
  try {
    const { stdout, stderr, exitCode } = Bun.spawnSync(command, { env: { ...env }, stdin: "ignore", timeout: ASK_MS });
    const failure = stderr.toString().trim() || `it ended with exit code ${exitCode}`;
    return { said: stdout.toString(), failure: clip(failure) };
  } catch (error) {
    return { said: "", failure: errorCode(error) ?? String(error) };
  }
}
