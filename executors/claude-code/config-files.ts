import { readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { errorCode } from "../../src/errors.ts";
import type { ClaudeFault } from "./find-claude.ts";
import type { ClaudeSettings } from "./settings.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export function userSettingsPath(env: Environment): string {
  return join(configFolder(env), "settings.json");
}

function configFolder(env: Environment): string {
  return env["CLAUDE_CONFIG_DIR"] || join(homeOf(env), ".claude");
}

/** Claude Code's own state, without which it does not start if the file is damaged. */
function statePath(env: Environment): string {
  return join(env["CLAUDE_CONFIG_DIR"] || homeOf(env), ".claude.json");
}

function homeOf(env: Environment): string {
  return env["HOME"] || homedir();
}

/** The first file of Claude Code that it would refuse or ignore: its state, and the settings that it reads. */
export function faultOfFiles(
  { settingSources }: Pick<ClaudeSettings, "settingSources">,
  env: Environment,
  projectDir: string | undefined,
): ClaudeFault | null {
  const state = faultOfState(env);
  if (state !== null) return state;
  const reads = (source: "user" | "project" | "local"): boolean => settingSources?.includes(source) !== false;
  const settings = [
    ...(reads("user") ? [userSettingsPath(env)] : []),
    ...(reads("project") && projectDir !== undefined ? [join(projectDir, ".claude", "settings.json")] : []),
    ...(reads("local") && projectDir !== undefined ? [join(projectDir, ".claude", "settings.local.json")] : []),
  ];
  const damaged = settings.find(isDamaged);
  if (damaged === undefined) return null;
  return {
    ok: false,
    reason: `the settings file ${damaged} is not a JSON object, so Claude Code ignores its rules and every run fails`,
    hint: "repair the file, or leave its source out of setting_sources",
  };
}

/** Why Claude Code would not start. */
export function faultOfState(env: Environment): ClaudeFault | null {
  const state = statePath(env);
  if (!isUnreadableState(state)) return null;
  const hint = `repair it, or replace it with a copy from ${join(configFolder(env), "backups")}`;
  return { ok: false, reason: `Claude Code does not start: its state file ${state} is not JSON`, hint };
}

/** Claude Code accepts an empty state file, one of null bytes, and any JSON. */
function isUnreadableState(path: string): boolean {
  const text = readText(path)?.replaceAll("\0", "").trim() ?? "";
  return text !== "" && parsed(text) === undefined;
}

/** Claude Code accepts an empty settings file, and a link that leads nowhere. It refuses a folder or a FIFO. */
function isDamaged(path: string): boolean {
  const text = readText(path);
  if (text === undefined) return isThere(path);
  if (text.trim() === "") return false;
  const value = parsed(text);
  return typeof value !== "object" || value === null || Array.isArray(value);
}

function isThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    // A loop of links. In a folder that may not be entered, nobody knows.
    return errorCode(error) === "ELOOP";
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const MAX_BYTES = 64 * 1024 * 1024;

/**
 * The text of a file as Claude Code reads it: UTF-16 after its mark, else UTF-8, without the mark. Undefined unless the
 * path is a file that can be read: reading a FIFO would block.
 */
export function readText(path: string): string | undefined {
  try {
    const file = statSync(path);
    if (!file.isFile() || file.size > MAX_BYTES) return undefined;
    const bytes = readFileSync(path);
    const isUtf16 = bytes[0] === 0xff && bytes[1] === 0xfe;
    return bytes.toString(isUtf16 ? "utf16le" : "utf8").replace(/^\uFEFF/, "");
  } catch {
    return undefined;
  }
}
