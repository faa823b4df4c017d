import type { CoordinatorClient } from "../client/coordinator-client.ts";
import { describeError, ExitCode } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Command, CommandContext } from "./command-line/command.ts";
import { startConfiguredTelemetry } from "./wiring/configured-telemetry.ts";
import { connect } from "./wiring/connect.ts";
import { startConfiguredCoordinator } from "./coordinator.ts";
import { exitCodeOfRun, followRun } from "./follow/follow-run.ts";
import { onInterrupts } from "./terminal/interrupts.ts";
import { commonOptions, upOptions } from "./command-line/options.ts";
import { listOfExecutors } from "./wiring/resolve-executor.ts";
import { tellServiceManager } from "./wiring/tell-service-manager.ts";
import { commandLog, exitCodeOf, makeRunner, runnerConfig } from "./wiring/run-runner.ts";

const SAMPLE_PROMPT = "Hello from agent-runner: this run was queued, claimed, executed and reported.";

export const upCommand: Command = {
  name: "up",
  description: "Runs coordinator and runner in one process: all that is needed on one machine.",
  args: {
    ...upOptions,
    sample: { type: "boolean", description: "Submit one sample run and show it pass through to its result" },
    once: { type: "boolean", description: "With --sample: exit when the sample run has ended" },
    ...commonOptions,
  },
  examples: [
    ["agent-runner up -x test-executor", "then, in another terminal: agent-runner submit --wait 'Hello'"],
    ["agent-runner up -x test-executor --sample --once", "see one run from beginning to end"],
    [
      "agent-runner up -x my-executor -p ~/project --max-concurrent 4",
      "an executor of your own in a project directory, at most four runs at a time",
    ],
  ],
  async run(args, context) {
    const configured = runnerConfig(args, context);
    if (args["executor-list"] === true) {
      context.print(listOfExecutors(configured, context.env));
      return ExitCode.ok;
    }
    const log = commandLog(configured, context);
    await using coordinator = await startConfiguredCoordinator(configured, log);
    // The coordinator inside knows its own token only; OIDC credentials are for another one.
    const config = { ...configured, coordinatorUrl: coordinator.url, credentials: null };
    const online = Promise.withResolvers<void>();
    await using telemetry = await startConfiguredTelemetry("up", config, context, log, coordinator);
    using manager = tellServiceManager(context.env);
    const runner = makeRunner(config, context, log, telemetry, (state) => {
      manager.onState(state);
      if (state === "online") online.resolve();
    });
    manager.watch(runner);
    using _signals = onInterrupts(runner, context);
    const ended = runner.run();
    if (args["sample"] !== true) {
      void online.promise.then(() => {
        log.info(`Submit a run from another terminal: ${submitLine(coordinator.url)}`);
        log.info(`Or start one in a browser, and watch it: ${coordinator.url}/`);
      });
      return exitCodeOf(await ended);
    }
    await Promise.race([online.promise, ended]);
    const shown = showSample(connect(config), context, log).catch((error: unknown) => {
      log.error(`The sample run cannot be shown: ${describeError(error)}`);
      return ExitCode.failed;
    });
    // Somebody may interrupt before it has ended.
    const outcome = await Promise.race([shown, ended.then(() => ExitCode.failed)]);
    if (args["once"] === true) runner.interrupt();
    const exitCode = exitCodeOf(await ended);
    return outcome === ExitCode.ok ? exitCode : outcome;
  },
};

/** Submits the sample run and follows it. The runner's own log shows the way that it takes. */
async function showSample(client: CoordinatorClient, context: CommandContext, log: Log): Promise<number> {
  const { run_id, session_id } = await client.createRun({
    type: "start_session",
    prompt: SAMPLE_PROMPT,
    execution_mode: "sync",
  });
  log.info(`Submitted the sample run ${run_id}`);
  const { run, result } = await followRun(client, run_id, session_id, { onEvent() {} });
  context.print(`\nThe sample run ${run_id} ${run.status}${result === null ? "" : `. Its result:\n\n  ${result}`}\n`);
  context.print(`Next, in another terminal:\n\n  ${submitLine(client.baseUrl)}\n`);
  return exitCodeOfRun(run);
}

function submitLine(url: string): string {
  const option = url === "http://127.0.0.1:8765" ? "" : `-c ${url} `;
  return `agent-runner submit ${option}--wait 'Hello'`;
}
