// `bun run scripts/claude-code.ts` prints the path of a Claude Code for tests, and installs it if it is missing.
// It is no dependency: the program is proprietary and large, and users have their own.
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { developmentClaude } from "../executors/claude-code/development-claude.ts";

/**
 * The path of the native program. Installs it once into `.tool/claude-code/<version>`, without scripts and without a
 * lock file. Several processes can call this at once. Throws with the installer's output if it fails.
 */
export async function claudeCodeForTests(): Promise<string> {
  const { spec, folder, program } = developmentClaude();
  if (!existsSync(program)) await install(spec, folder);
  if (!existsSync(program)) throw new Error(`${spec} has no program ${program}`);
  return program;
}

/** Installs it beside its place and then moves it there: a program in its place is complete. */
async function install(spec: string, place: string): Promise<void> {
  process.stderr.write(`[claude-code] Installing ${spec} into .tool/claude-code\n`);
  const draft = `${place}.${process.pid}.tmp`;
  mkdirSync(draft, { recursive: true });
  try {
    // A package.json of its own keeps the installer from changing the project's.
    writeFileSync(join(draft, "package.json"), '{ "private": true }\n');
    const installer = Bun.spawn(
      [process.execPath, "add", "--cwd", draft, "--exact", "--no-save", "--ignore-scripts", spec],
      {
        stdin: "ignore",
        stdout: "ignore",
        stderr: "pipe",
      },
    );
    const [exitCode, output] = await Promise.all([installer.exited, new Response(installer.stderr).text()]);
    if (exitCode !== 0) throw new Error(`Cannot install ${spec}. Is the npm registry reachable?\n${output.trim()}`);
    moveInto(draft, place);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

function moveInto(draft: string, place: string): void {
  try {
    renameSync(draft, place);
  } catch (error) {
    // Another process was quicker and installed the same.
    if (!existsSync(join(place, "node_modules"))) throw error;
  }
}

if (import.meta.main) process.stdout.write(`${await claudeCodeForTests()}\n`);
