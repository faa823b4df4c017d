import type { CoordinatorClient } from "../client/coordinator-client.ts";
import { describeError, ExitCode } from "../errors.ts";
import type { Log } from "../log.ts";
import { flagArg } from "./command-line/arguments.ts";
import type { Command, CommandContext } from "./command-line/command.ts";
import { startConfiguredTelemetry } from "./wiring/configured-telemetry.ts";
import { clientOf } from "./wiring/connect.ts";
import { startConfiguredCoordinator, withToken } from "./wiring/configured-coordinator.ts";
import { describeEnding } from "./wiring/describe-ending.ts";
import { dashboardLine, openDashboard } from "./wiring/show-dashboard.ts";
import { exitCodeOfRun, followRun } from "./follow/follow-run.ts";
import { onInterrupts } from "./terminal/interrupts.ts";
import { commonOptions, TIME_NOTE, TOKEN_NOTES, upOptions } from "./command-line/options.ts";
import { executorOption, listOfExecutors } from "./wiring/resolve-executor.ts";
import { DescriptorGuard } from "../process/descriptor-guard.ts";
import { reapOrphans } from "../process/reap-orphans.ts";
import { tellServiceManager } from "./wiring/tell-service-manager.ts";
import { commandLog, exitCodeOf, makeRunner, runnerConfig } from "./wiring/run-runner.ts";

const SAMPLE_PROMPT = "Hello from agent-runner: this run was queued, claimed, executed and reported.";

export const upCommand: Command = {
  name: "up",
  description: "Runs coordinator and runner in one process: all that one machine needs.",
  args: {
    ...upOptions,
    sample: { type: "boolean", description: "Submit a sample run and show its result" },
    open: { type: "boolean", description: "Open the dashboard in your browser" },
    once: { type: "boolean", description: "With --sample: exit when the sample run has ended" },
    ...commonOptions,
  },
  notes: [
    "The coordinator's URL is also the address of the dashboard (a web page).",
    "The executor test-executor repeats the prompt. It needs no agent, so it is good for a first try.",
    TIME_NOTE,
    ...TOKEN_NOTES,
  ],
  examples: [
    ["agent-runner up", "Run Claude Code; then, in another terminal: agent-runner submit --wait 'Hello'"],
    ["agent-runner up -x test-executor --sample --once", "Watch one run from start to end, without an agent"],
    [
      "agent-runner up -x my-executor -p ~/project --max-concurrent 4",
      "Use your own executor in a project directory, for at most four runs at a time",
    ],
  ],
  async run(args, context) {
    const configured = runnerConfig(args, context);
    if (flagArg(args, "executor-list")) {
      context.print(listOfExecutors(configured, context.env));
      return ExitCode.ok;
    }
    const log = commandLog(configured, context);
    using _orphans = reapOrphans();
    using _descriptors = new DescriptorGuard(log);
    const ofCoordinator = withToken(configured, log);
    await using coordinator = await startConfiguredCoordinator(ofCoordinator, log);
    // The built-in coordinator knows its own token only; OIDC credentials are for another coordinator.
    const config = { ...ofCoordinator, coordinatorUrl: coordinator.url, credentials: null };
    const online = Promise.withResolvers<void>();
    await using telemetry = await startConfiguredTelemetry("up", config, context, log, coordinator);
    using manager = tellServiceManager(context.env);
    const runner = makeRunner({ command: "up", args, config, context, log, telemetry }, (state) => {
      manager.onState(state);
      if (state === "online") online.resolve();
    });
    manager.watch(runner);
    using _signals = onInterrupts(runner, context);
    const ended = runner.run();
    const submitLine = `${context.program()} submit ${urlOption(coordinator.url)}--wait 'Hello'`;
    if (!flagArg(args, "sample")) {
      void online.promise.then(() => {
        log.info(`Submit a run from another terminal: ${submitLine}`);
        log.info(dashboardLine(coordinator, config, context));
        if (flagArg(args, "open")) openDashboard(coordinator, config, context, log);
      });
      return exitCodeOf(await ended);
    }
    await Promise.race([online.promise, ended]);
    const sample = showSample(clientOf(config), context, log).catch((error: unknown) => {
      log.error(`The sample run cannot be shown: ${describeError(error)}`);
      return ExitCode.failed;
    });
    // The user may interrupt before the sample run has ended.
    const sampleCode = await Promise.race([sample, ended.then(() => ExitCode.failed)]);
    const isOnce = flagArg(args, "once");
    if (isOnce) runner.interrupt();
    else if (sampleCode === ExitCode.ok)
      context.print(
        `Next, from another terminal in this folder:\n\n  ${submitLine}\n\n` +
          `${dashboardLine(coordinator, config, context)}\n`,
      );
    const exitCode = exitCodeOf(await ended);
    if (sampleCode !== ExitCode.ok) return sampleCode;
    const upLine = `${context.program()} up${executorOption(configured, context.env)}`;
    if (isOnce) context.print(`\nNext, start coordinator and runner:\n\n  ${upLine}\n`);
    return exitCode;
  },
};

/** Submits the sample run and follows it to its end. The log shows its steps. */
async function showSample(client: CoordinatorClient, context: CommandContext, log: Log): Promise<number> {
  const { run_id, session_id } = await client.createRun({
    type: "start_session",
    prompt: SAMPLE_PROMPT,
    execution_mode: "sync",
  });
  log.info(`Submitted the sample run ${run_id}`);
  const { run, result } = await followRun(client, run_id, session_id, { onEvent() {} });
  const ending = describeEnding(run);
  const outcome = result === null ? ending && `: ${ending}` : `. Its result:\n\n  ${result}`;
  context.print(`\nThe sample run ${run_id} ${run.status}${outcome}\n`);
  return exitCodeOfRun(run);
}

/** Empty for the coordinator that commands use by default. */
function urlOption(url: string): string {
  return url === "http://127.0.0.1:8765" ? "" : `-c ${url} `;
}
