import { fstatSync } from "node:fs";
import { processEnvironment } from "../config/environment.ts";
import type { CommandContext } from "./command-line/command.ts";
import type { Output } from "./terminal/output.ts";
import { programCall, thisProgram } from "./terminal/program-call.ts";

/** This process as the commands see it. */
export function programContext(stdout: Output, stderr: Output, exitNow: CommandContext["exitNow"]): CommandContext {
  const env = processEnvironment();
  return {
    env,
    program: () => programCall(thisProgram(env)),
    write: (text) => stdout.write(text),
    draw: (text) => stdout.draw(text),
    print: (text) => stdout.write(`${text}\n`),
    note: (text) => stderr.write(`${text}\n`),
    hasReader: () => stdout.hasReader,
    isTerminal: isTerminal(),
    exitNow,
  };
}

/** Whether stdout is a terminal. Touches Node's stream, which is costly, only for a character device. */
function isTerminal(): boolean {
  try {
    return fstatSync(1).isCharacterDevice() && process.stdout.isTTY === true;
  } catch {
    // stdout is closed.
    return false;
  }
}
