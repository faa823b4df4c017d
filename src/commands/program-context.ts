import { fstatSync } from "node:fs";
import { processEnvironment } from "../config/environment.ts";
import type { CommandContext } from "./command-line/command.ts";
import type { Output } from "./terminal/output.ts";

/** This process as the commands see it. */
export function programContext(stdout: Output, stderr: Output, exitNow: CommandContext["exitNow"]): CommandContext {
  return {
    env: processEnvironment(),
    write: (text) => stdout.write(text),
    print: (text) => stdout.write(`${text}\n`),
    note: (text) => stderr.write(`${text}\n`),
    hasReader: () => stdout.hasReader,
    isTerminal: isTerminal(),
    exitNow,
  };
}

/** Whether stdout is one. Asked of node's stream, which is costly, only where it may be. */
function isTerminal(): boolean {
  try {
    return fstatSync(1).isCharacterDevice() && process.stdout.isTTY === true;
  } catch {
    // It is closed.
    return false;
  }
}
