// The modules that `src/main.ts` loads for a runner.
export { programContext } from "../../src/commands/program-context.ts";
export { runCommandLine } from "../../src/commands/run-command-line.ts";
export { runRunner } from "../../src/commands/wiring/run-runner.ts";
