import { readFileSync, realpathSync } from "node:fs";
import { basename, join } from "node:path";
import { isWithheld } from "../../config/environment.ts";

/*
 * An executor gets each variable byte for byte. Two things between the runner and its executor would change variables:
 * - `process.env` and `Bun.spawn` are UTF-8: other bytes become U+FFFD, and a name of other bytes is lost.
 * - A shell drops names that are not its own identifiers (`my.var`) and sets variables of its own (SHLVL, IFS).
 *
 * So entries are kept as bytes, in strings of one character per byte ("latin1"). Where the shim's shell would change
 * an entry, the shim starts this program first, which becomes the executor (`become.ts`).
 */

/** Entries `NAME=value`, one character per byte. */
export type EnvironmentEntries = readonly string[];

let own: EnvironmentEntries | undefined;

/** The environment that this process was started with. Empty where the system does not show it. */
export function entriesAtStart(): EnvironmentEntries {
  return (own ??= process.platform === "linux" ? readEntries("/proc/self/environ") : []);
}

function readEntries(file: string): EnvironmentEntries {
  try {
    return splitEntries(readFileSync(file));
  } catch {
    return [];
  }
}

export function splitEntries(bytes: Buffer): EnvironmentEntries {
  return bytes.toString("latin1").split("\0").filter(Boolean);
}

/**
 * The entries of `env`, with the bytes of `inherited` where they have the same text. Entries of `inherited` that no
 * text can name, because the name is empty or not UTF-8, are kept.
 */
export function exactEntries(env: Readonly<Record<string, string>>, inherited: EnvironmentEntries): EnvironmentEntries {
  const isUnchanged = new Set(
    inherited.filter((entry) => env[textOf(nameOf(entry))] === textOf(valueOf(entry))).map(nameOf),
  );
  const kept = inherited.filter((entry) => {
    const name = nameOf(entry);
    return name === "" || (!isUtf8(name) && !isWithheld(name)) || isUnchanged.has(name);
  });
  const names = new Set(kept.map(nameOf));
  const added = Object.entries(env).map(([name, value]) => bytesOf(`${name}=${value}`));
  return [...kept, ...added.filter((entry) => !names.has(nameOf(entry)))];
}

/** The names that dash sets itself. */
const SHELL_NAMES: ReadonlySet<string> = new Set(["IFS", "LINENO", "OPTIND", "PPID"]);

/** Whether the shim's shell passes all entries on unchanged. Only dash adds no variable of its own. */
export function shellKeeps(entries: EnvironmentEntries, shell = shellName()): boolean {
  const names = entries.map(nameOf);
  return (
    shell === "dash" &&
    new Set(names).size === names.length &&
    names.every((name) => /^[A-Za-z_]\w*$/.test(name) && !SHELL_NAMES.has(name)) &&
    entries.every(isUtf8)
  );
}

let shell: string | undefined;

function shellName(): string {
  return (shell ??= basename(realpathSync("/bin/sh")));
}

/** The command that starts this program. */
export function ownProgram(): string[] {
  return Bun.isStandaloneExecutable ? [process.execPath] : [process.execPath, join(import.meta.dir, "../../main.ts")];
}

function nameOf(entry: string): string {
  const end = entry.indexOf("=");
  return end === -1 ? entry : entry.slice(0, end);
}

function valueOf(entry: string): string {
  return entry.slice(nameOf(entry).length + 1);
}

function textOf(bytes: string): string {
  return Buffer.from(bytes, "latin1").toString("utf8");
}

function bytesOf(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

function isUtf8(bytes: string): boolean {
  return bytesOf(textOf(bytes)) === bytes;
}
