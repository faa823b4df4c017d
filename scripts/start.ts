// `npm start` builds the program and runs `up` with a sample run. It passes arguments on: `npm start -- --once`.
import { binaryFile, buildForThisMachine, describeBuild, isUpToDate } from "../build.ts";
import { runForeground } from "./foreground.mjs";

if (isUpToDate()) {
  say(`${binaryFile} is up to date`);
} else {
  say(describeBuild(await buildForThisMachine()));
}
process.exitCode = await runForeground(binaryFile, ["up", "-x", "test-executor", "--sample", ...process.argv.slice(2)]);

/** Writes to stderr: stdout belongs to the program. */
function say(message: string): void {
  process.stderr.write(`[start] ${message}\n`);
}
