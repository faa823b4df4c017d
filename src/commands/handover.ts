import { delay } from "../async/delay.ts";
import { loadConfig } from "../config/load-config.ts";
import { ExitCode, usageError, UserError } from "../errors.ts";
import { processStartTime } from "../process/process-table.ts";
import { type Holder, liveRunners, locksFolder } from "../runner/identity-lock.ts";
import { type Command, textArg } from "./command-line/command.ts";
import { HANDOVER_SIGNAL } from "./terminal/interrupts.ts";
import { commonOptions, coordinatorOptions } from "./command-line/options.ts";

const EXIT_WAIT_MS = 10_000;
const LOOK_EVERY_MS = 50;

export const handoverCommand: Command = {
  name: "handover",
  description:
    "Ends a runner of this user at once and leaves its executors running. The next start with the same options takes them up: an upgrade with long agents in flight loses nothing.",
  args: {
    pid: { type: "string", valueHint: "PID", description: "Which runner, where several run" },
    config: coordinatorOptions.config,
    ...commonOptions,
  },
  examples: [
    ["agent-runner handover && ./agent-runner-new -x claude-code", "replace the program while agents are at work"],
    ["agent-runner handover --pid 1234", "one of several runners"],
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
      await delay(LOOK_EVERY_MS);
    }
    context.print(
      `The runner (pid ${holder.pid}) has exited; start the next with the same options:\n  ${restartLine(holder)}`,
    );
    return ExitCode.ok;
  },
};

function choose(runners: readonly Holder[], pid: string | undefined): Holder {
  const list = runners
    .map((runner) => `  pid ${runner.pid}: ${runner.executorType} in ${runner.projectDir} at ${runner.coordinatorUrl}`)
    .join("\n");
  const chosen = pid === undefined ? runners : runners.filter((runner) => String(runner.pid) === pid);
  const [only, ...others] = chosen;
  if (only === undefined) {
    throw new UserError(
      pid === undefined
        ? "No runner of this user is running"
        : `No runner of this user has pid ${pid}${list === "" ? "" : `; running:\n${list}`}`,
    );
  }
  if (others.length > 0) throw usageError(`Several runners are running:\n${list}`, "Name one with --pid");
  return only;
}

function restartLine({ coordinatorUrl, executorType, projectDir }: Holder): string {
  return `agent-runner -c ${coordinatorUrl} -x ${executorType} -p ${projectDir}`;
}
