import { delay } from "../async/delay.ts";
import { loadConfig } from "../config/load-config.ts";
import { ExitCode, usageError, UserError } from "../errors.ts";
import { processStartTime } from "../process/process-table.ts";
import { type Holder, liveRunners, locksFolder } from "../runner/identity-lock.ts";
import { textArg } from "./command-line/arguments.ts";
import type { Command } from "./command-line/command.ts";
import { HANDOVER_SIGNAL } from "./terminal/interrupts.ts";
import { commonOptions, coordinatorOptions } from "./command-line/options.ts";
import { restartLine } from "./wiring/restart-words.ts";
import { shownUrl } from "../protocol/shown-url.ts";

const EXIT_WAIT_MS = 10_000;
const CHECK_EVERY_MS = 50;

export const handoverCommand: Command = {
  name: "handover",
  description: "Ends a runner of this user at once and leaves its executors running.",
  args: {
    pid: { type: "string", valueHint: "PID", description: "Process id of the runner, if there are several" },
    config: coordinatorOptions.config,
    ...commonOptions,
  },
  notes: [
    "The next start with the same options adopts the executors, so an upgrade ends no agent.",
    "A service hands over on each restart; this command is for a runner in a terminal.",
  ],
  examples: [
    ["agent-runner handover && ./agent-runner-new", "Replace the program while agents work"],
    ["agent-runner handover --pid 1234", "Hand over one of several runners"],
  ],
  async run(args, context) {
    const holder = choose(liveRunners(locksFolder(loadConfig(args, context.env))), textArg(args, "pid"));
    if (processStartTime(holder.pid) !== holder.startedAt)
      throw new UserError(`Process ${holder.pid} is not the runner that held the lock`);
    process.kill(holder.pid, HANDOVER_SIGNAL);
    const endMs = performance.now() + EXIT_WAIT_MS;
    while (processStartTime(holder.pid) === holder.startedAt) {
      if (performance.now() > endMs)
        throw new UserError(`The runner (pid ${holder.pid}) did not exit within ${EXIT_WAIT_MS / 1000} s`);
      await delay(CHECK_EVERY_MS);
    }
    context.print(
      `The runner (pid ${holder.pid}) has exited; start the next one with the same options:\n` +
        `  ${restartLine(context.program(), holder)}`,
    );
    return ExitCode.ok;
  },
};

function choose(runners: readonly Holder[], pid: string | undefined): Holder {
  const list = runners
    .map(
      (runner) =>
        `  pid ${runner.pid}: ${runner.executorType} in ${runner.projectDir} at ${shownUrl(runner.coordinatorUrl)}`,
    )
    .join("\n");
  const chosen = pid === undefined ? runners : runners.filter((runner) => String(runner.pid) === pid);
  const [only, ...others] = chosen;
  if (only === undefined) {
    throw new UserError(
      pid === undefined
        ? "No runner of this user is running"
        : `No runner of this user has pid ${pid}${list === "" ? "" : `; there are:\n${list}`}`,
    );
  }
  if (others.length > 0) throw usageError(`Several runners are running:\n${list}`, "Name one with --pid");
  return only;
}
