// `bun run scripts/claude-code.ts` prints the path of a Claude Code for tests, and installs it first if it is not there;
// `bun install` leaves it out (overrides in package.json).
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { developmentClaude } from "../executors/claude-code/development-claude.ts";

/**
 * The path of the native program. Installed by name, without scripts and without a lock file, into `.tool/claude-code/<version>`, where
 * it stays; several processes may ask at once. Throws with the installer's words if it fails.
 */
export async function claudeCodeForTests(): Promise<string> {
  const { spec, folder, program } = developmentClaude();
  if (!existsSync(program)) await install(spec, folder);
  if (!existsSync(program)) throw new Error(`${spec} holds no program ${program}`);
  return program;
}

/** Installed beside its place and moved there whole: whoever finds the program may start it. */
async function install(spec: string, place: string): Promise<void> {
  process.stderr.write(`[claude-code] installing ${spec} into .tool/claude-code\n`);
  const draft = `${place}.${process.pid}.tmp`;
  mkdirSync(draft, { recursive: true });
  try {
    // Without a package.json of its own the installer climbs to the project's and changes that one.
    writeFileSync(join(draft, "package.json"), '{ "private": true }\n');
    const installer = Bun.spawn(
      [process.execPath, "add", "--cwd", draft, "--exact", "--no-save", "--ignore-scripts", spec],
      {
        stdin: "ignore",
        stdout: "ignore",
        stderr: "pipe",
      },
    );
    const [exitCode, said] = await Promise.all([installer.exited, new Response(installer.stderr).text()]);
    if (exitCode !== 0)
      throw new Error(`${spec} could not be installed. Is the npm registry reachable?\n${said.trim()}`);
    moveInto(draft, place);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

function moveInto(draft: string, place: string): void {
  try {
    renameSync(draft, place);
  } catch (error) {
    // Another process was quicker; what it has put there is the same.
    if (!existsSync(join(place, "node_modules"))) throw error;
  }
}

if (import.meta.main) process.stdout.write(`${await claudeCodeForTests()}\n`);
