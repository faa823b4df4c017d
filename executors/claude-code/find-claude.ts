import { accessSync, constants, existsSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, isAbsolute, join } from "node:path";
import { expandHome } from "../../src/paths.ts";
import { clip, errorCode } from "../../src/errors.ts";
import { developmentClaude } from "./development-claude.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** The user's own Claude Code, or the reason why none is usable, with a hint. */
export type FoundClaude =
  | { readonly ok: true; readonly path: string; readonly from: "the setting" | "PATH" | "the npm package" }
  | ClaudeFault;
export interface ClaudeFault {
  readonly ok: false;
  readonly reason: string;
  readonly hint: string;
}

/**
 * The oldest Claude Code that accepts MCP servers and settings on stdin (measured: 2.1.326 does not). Older versions
 * accept them only on the command line, where every user of the machine can read their credentials.
 */
export const MINIMUM_VERSION = "2.1.327";

const PROGRAM = process.platform === "win32" ? "claude.exe" : "claude";
const INSTALL =
  "install it (https://code.claude.com/docs/en/setup), " +
  "or set its path in CLAUDE_CODE_PATH, or as path in [executors.claude-code]";
export const UPDATE = "update it: claude update";

/**
 * Searches the setting, then `claude` on PATH, then (only in development) the npm package. Ignores relative folders in
 * PATH: they would lie in the project that an agent works on.
 */
export function findClaude(setting: string | undefined, env: Environment): FoundClaude {
  if (setting !== undefined) return ofSetting(setting, env);
  const onPath = findOnPath(PROGRAM, env);
  if (onPath !== undefined) return { ok: true, path: onPath, from: "PATH" };
  if (!Bun.isStandaloneExecutable) {
    const { program } = developmentClaude();
    if (existsSync(program)) return { ok: true, path: program, from: "the npm package" };
  }
  return { ok: false, reason: `Claude Code not found: ${PROGRAM} is not on PATH`, hint: INSTALL };
}

function ofSetting(setting: string, env: Environment): FoundClaude {
  if (!/[/\\]/.test(setting)) {
    const path = findOnPath(setting, env);
    if (path !== undefined) return { ok: true, path, from: "the setting" };
    return { ok: false, reason: `Claude Code not found: ${setting} is not on PATH`, hint: INSTALL };
  }
  const path = expandHome(setting, env["HOME"] || homedir());
  if (!isAbsolute(path))
    return { ok: false, reason: `the path of Claude Code, ${path}, is not absolute`, hint: "start it with / or ~/" };
  const fault = faultOfFile(path);
  if (fault === null) return { ok: true, path, from: "the setting" };
  return { ok: false, reason: `no Claude Code at ${path}: ${fault}`, hint: INSTALL };
}

function findOnPath(name: string, env: Environment): string | undefined {
  const folders = (env["PATH"] ?? "").split(delimiter).filter(isAbsolute);
  return folders.map((folder) => join(folder, name)).find((path) => faultOfFile(path) === null);
}

function faultOfFile(path: string): string | null {
  try {
    if (!statSync(path).isFile()) return "it is not a file";
    // Node runs JavaScript, which needs no execute permission.
    if (!isJavaScript(path)) accessSync(path, constants.X_OK);
    return null;
  } catch (error) {
    const code = errorCode(error);
    return code === "ENOENT" ? "it does not exist" : code === "EACCES" ? "it is not executable" : String(code ?? error);
  }
}

/** Whether Node must run the file: an older way to install Claude Code. */
export function isJavaScript(path: string): boolean {
  return /\.[cm]?js$/.test(path);
}

const PROBE_TIMEOUT_MS = 20_000;

/** The program's version (`2.1.330`), or a fault if the version is unknown or below {@link MINIMUM_VERSION}. */
export function probeVersion(
  path: string,
  env: Environment,
): { readonly ok: true; readonly version: string } | ClaudeFault {
  const { output, failure } = runClaude(path, ["--version"], env);
  const version = /\b\d+\.\d+\.\d+\b/.exec(output)?.[0];
  if (version === undefined)
    return { ok: false, reason: `${path} prints no version: ${failure ?? clip(output.trim())}`, hint: INSTALL };
  if (Bun.semver.order(version, MINIMUM_VERSION) >= 0) return { ok: true, version };
  const why =
    "older versions accept MCP servers and settings only on the command line, " +
    "where all users of the machine can read their credentials";
  return {
    ok: false,
    reason: `Claude Code ${version} at ${path} is too old: ${MINIMUM_VERSION} is required, because ${why}`,
    hint: UPDATE,
  };
}

/** Whether Claude Code is logged in; null if unknown. Uses no network. */
export function probeLogin(path: string, env: Environment): boolean | null {
  const loggedIn = /"loggedIn":\s*(true|false)/.exec(runClaude(path, ["auth", "status"], env).output)?.[1];
  return loggedIn === undefined ? null : loggedIn === "true";
}

function runClaude(path: string, args: readonly string[], env: Environment): { output: string; failure?: string } {
  const command = isJavaScript(path) ? ["node", path, ...args] : [path, ...args];
  try {
    const { stdout, stderr, exitCode } = Bun.spawnSync(command, {
      env: { ...env },
      stdin: "ignore",
      timeout: PROBE_TIMEOUT_MS,
    });
    const failure = stderr.toString().trim() || `it ended with exit code ${exitCode}`;
    return { output: stdout.toString(), failure: clip(failure) };
  } catch (error) {
    return { output: "", failure: errorCode(error) ?? String(error) };
  }
}
