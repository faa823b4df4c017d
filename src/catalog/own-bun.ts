import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, extname, join } from "node:path";
import { type CatalogOptions, isWindows } from "./executor.ts";
import { hasInterpreter, inspectFile } from "../process/inspect-file.ts";

const OWN_EXTENSIONS: ReadonlySet<string> = new Set([".ts", ".js", ".mjs"]);

/**
 * BUN_BE_BUN makes this program Bun, for an executor and not for what the executor starts: that may be this program again.
 * `Bun.spawn` passes on the environment that the process began with, not `process.env`, unless it is told.
 */
const PRELOAD = `delete process.env.BUN_BE_BUN;
for (const name of ["spawn", "spawnSync"]) {
  const original = Bun[name];
  Bun[name] = (command, options) =>
    Array.isArray(command)
      ? original(command, { ...options, env: options?.env ?? process.env })
      : original({ ...command, env: command.env ?? process.env });
}
`;

/**
 * Whether this program runs the file itself, as its Bun: TypeScript or JavaScript that the system cannot start, for want of a
 * run bit, of a `#!` line, or of the Bun or Node that the line names.
 */
export function runsOnOwnBun(path: string, options: CatalogOptions): boolean {
  if (!OWN_EXTENSIONS.has(extname(path))) return false;
  const file = inspectFile(path);
  if (file.kind === "text") return true;
  if (file.kind !== "script") return false;
  if (isWindows(options) || !file.runnable) return true;
  return (
    ["bun", "node"].includes(basename(file.interpreter)) && !hasInterpreter(file.interpreter, options.env["PATH"] ?? "")
  );
}

/** How to run a file on this program's own Bun; writes what that needs into the state folder. */
export function ownBunCommand(
  path: string,
  options: CatalogOptions,
): { command: string[]; env: Record<string, string> } {
  const self = options.selfCommand[0] ?? process.execPath;
  const noConfig = isWindows(options) ? "NUL" : "/dev/null";
  // Whatever lies in the project's folder must not take part: no packages fetched, no .env, no bunfig.toml.
  const flags = ["--no-install", "--no-env-file", `--config=${noConfig}`, "--preload", writePreload(options.stateDir)];
  return { command: [self, "run", ...flags, path], env: { BUN_BE_BUN: "1" } };
}

function writePreload(stateDir: string): string {
  const file = join(stateDir, "own-bun-preload.js");
  try {
    if (readFileSync(file, "utf8") === PRELOAD) return file;
  } catch {
    // Not there yet.
  }
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}.tmp`;
  writeFileSync(draft, PRELOAD, { mode: 0o600 });
  renameSync(draft, file);
  return file;
}
