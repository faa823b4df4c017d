import { statSync } from "node:fs";
import { type Config, loadConfig } from "../config/load-config.ts";
import { type Coordinator, startCoordinator } from "../coordinator/coordinator.ts";
import { ExitCode, UserError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Command } from "./command-line/command.ts";
import { startConfiguredTelemetry } from "./wiring/configured-telemetry.ts";
import {
  commonOptions,
  coordinatorOnlyOptions,
  coordinatorOptions,
  listenOptions,
  logOptions,
  metricsOption,
  stateDirOption,
  TOKEN_NOTE,
} from "./command-line/options.ts";
import { executorOption, selfCommand } from "./wiring/resolve-executor.ts";
import { commandLog } from "./wiring/run-runner.ts";
import { databaseFile, makeStateFolder } from "./wiring/state-folder.ts";

/** Longer than any process lives. */
const NEVER_MS = 100 * 365 * 86_400_000;

export const coordinatorCommand: Command = {
  name: "coordinator",
  description: "Runs the built-in coordinator alone: it stores runs and sessions and gives runs to runners.",
  args: {
    ...listenOptions,
    ...coordinatorOnlyOptions,
    ...stateDirOption,
    config: coordinatorOptions.config,
    ...metricsOption,
    ...logOptions,
    ...commonOptions,
  },
  notes: [
    "Its URL serves the dashboard (a web page), the API, and the API's description (/openapi.json).",
    "The database is coordinator.sqlite in the state folder.",
    TOKEN_NOTE,
  ],
  examples: [
    ["agent-runner coordinator", "Listen on http://127.0.0.1:8765"],
    ["agent-runner coordinator --agents-dir ~/project/agents", "Add the agents of a folder"],
    [
      "AGENT_COORDINATOR_TOKEN=... agent-runner coordinator --host 0.0.0.0",
      "Serve other machines; each client needs the token",
    ],
  ],
  async run(args, context) {
    const config = loadConfig(args, context.env);
    const log = commandLog(config, context);
    await using coordinator = await startConfiguredCoordinator(config, log);
    await using _telemetry = await startConfiguredTelemetry(
      "coordinator",
      { ...config, coordinatorUrl: coordinator.url },
      context,
      log,
      coordinator,
    );
    log.info(`Start a runner with: ${context.program()} -c ${coordinator.url}${executorOption(config, context.env)}`);
    log.info(`Dashboard: ${coordinator.url}/`);
    await new Promise<void>((resolve) => {
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => resolve());
    });
    log.info("Shutting down");
    return ExitCode.ok;
  },
};

/** Starts the coordinator as configured, with its database in the state folder. */
export async function startConfiguredCoordinator(config: Config, log: Log): Promise<Coordinator> {
  makeStateFolder(config.stateDir);
  return startCoordinator({
    host: config.host,
    port: config.port,
    callbacks: config.callbacks,
    databasePath: databaseFile(config.stateDir),
    ...(config.coordinatorToken === undefined ? {} : { token: config.coordinatorToken }),
    keepMs: config.coordinatorKeepMs,
    durability: config.durability,
    selfCommand: selfCommand(),
    timings: { lostAfterMs: config.lostAfterMs === 0 ? NEVER_MS : config.lostAfterMs },
    ...(config.agentsDir === undefined ? {} : { agentsDir: requireFolder(config.agentsDir) }),
    log: log.scope("coordinator"),
  });
}

function requireFolder(path: string): string {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return path;
  throw new UserError(`The folder of agents ${path} does not exist`, {
    hint: "Make it, or name another with --agents-dir",
    exitCode: ExitCode.usage,
  });
}
