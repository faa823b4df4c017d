// `npm start`: the whole program on this machine, with a sample run. Arguments are passed on: `npm start -- --once`.
import { binaryFile, buildForThisMachine, describeBuild, isUpToDate } from "../build.ts";
import { runForeground } from "./foreground.mjs";

if (isUpToDate()) {
  say(`${binaryFile} is up to date`);
} else {
  say(describeBuild(await buildForThisMachine()));
}
process.exitCode = await runForeground(binaryFile, ["up", "-x", "test-executor", "--sample", ...process.argv.slice(2)]);

/** On stderr: stdout belongs to the program. */
function say(message: string): void {
  process.stderr.write(`[start] ${message}\n`);
}
