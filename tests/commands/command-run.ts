import type { Command, CommandArgs } from "../../src/commands/command-line/command.ts";
import type { Environment } from "../../src/config/environment.ts";

export interface CommandRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command as `main` does, and collects its output. */
export async function runOf(command: Command, args: CommandArgs, env: Environment): Promise<CommandRun> {
  let stdout = "";
  let stderr = "";
  const code = await command.run(args, {
    env,
    program: () => "agent-runner",
    write: (text) => void (stdout += text),
    draw: (text) => void (stdout += text),
    print: (text) => void (stdout += `${text}\n`),
    note: (text) => void (stderr += `${text}\n`),
    hasReader: () => true,
    isTerminal: false,
    exitNow: () => {
      throw new Error("exited");
    },
  });
  return { code, stdout, stderr };
}
