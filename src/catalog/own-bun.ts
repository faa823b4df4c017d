import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { type CatalogOptions, isWindows } from "./executor.ts";
import { hasInterpreter, inspectFile } from "../process/inspect-file.ts";
import { createSecretFile, readSecretFile } from "../trust/secret-file.ts";

const OWN_EXTENSIONS: ReadonlySet<string> = new Set([".ts", ".js", ".mjs"]);

/**
 * Hides BUN_BE_BUN, which makes this program Bun, from the children of an executor: a child may be this program.
 * `Bun.spawn` passes on the environment of the process's start, so the preload passes `process.env` itself.
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
 * Whether this program runs the file as Bun: TypeScript or JavaScript without a run bit, without a `#!` line, or with a
 * `#!` line for a Bun or Node that is not installed.
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

/** The command that runs a file on this program's own Bun. Writes the preload file into the state folder. */
export function ownBunCommand(
  path: string,
  options: CatalogOptions,
): { command: string[]; env: Record<string, string> } {
  const self = options.selfCommand[0] ?? process.execPath;
  const nothing = isWindows(options) ? "NUL" : "/dev/null";
  const own = join(dirname(path), "tsconfig.json");
  // Ignores the files of the project folder: no packages fetched, no .env, no bunfig.toml, and no tsconfig.json, whose
  // `paths` would put its own files in the place of the executor.
  const flags = ["--no-install", "--no-env-file", `--config=${nothing}`];
  const types = `--tsconfig-override=${existsSync(own) ? own : nothing}`;
  const preload = ["--preload", writePreload(options.stateDir)];
  return { command: [self, "run", ...flags, types, ...preload, path], env: { BUN_BE_BUN: "1" } };
}

function writePreload(stateDir: string): string {
  const file = join(stateDir, "own-bun-preload.js");
  try {
    if (readSecretFile(file) === PRELOAD) return file;
  } catch {
    // Another user could change the file: it is replaced.
  }
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}.tmp`;
  rmSync(draft, { force: true });
  createSecretFile(draft, PRELOAD);
  renameSync(draft, file);
  return file;
}
