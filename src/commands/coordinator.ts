import { loadConfig } from "../config/load-config.ts";
import { ExitCode } from "../errors.ts";
import { DescriptorGuard } from "../process/descriptor-guard.ts";
import { heeded } from "../process/ignored-signals.ts";
import type { Command } from "./command-line/command.ts";
import { startConfiguredCoordinator, withToken } from "./wiring/configured-coordinator.ts";
import { startConfiguredTelemetry } from "./wiring/configured-telemetry.ts";
import {
  commonOptions,
  coordinatorOnlyOptions,
  coordinatorOptions,
  listenOptions,
  logOptions,
  metricsOption,
  stateDirOption,
  TOKEN_NOTES,
} from "./command-line/options.ts";
import { executorOption } from "./wiring/resolve-executor.ts";
import { commandLog } from "./wiring/run-runner.ts";
import { dashboardLine } from "./wiring/show-dashboard.ts";

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
    "The database is coordinator.sqlite in the state folder; with --database one of PostgreSQL, version 13 or newer.",
    "A URL with a password goes into AGENT_COORDINATOR_DATABASE or the settings file: other users see --database.",
    ...TOKEN_NOTES,
  ],
  examples: [
    ["agent-runner coordinator", "Listen on http://127.0.0.1:8765"],
    ["agent-runner coordinator --agents-dir ~/project/agents", "Add the agents of a folder"],
    [
      "AGENT_COORDINATOR_TOKEN=... agent-runner coordinator --host 0.0.0.0",
      "Serve other machines; each client needs the token",
    ],
    [
      "agent-runner coordinator --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem",
      "Serve other machines by https; a renewed certificate is taken up within a minute",
    ],
  ],
  async run(args, context) {
    const configured = loadConfig(args, context.env);
    const log = commandLog(configured, context);
    using _descriptors = new DescriptorGuard(log);
    const interrupted = Promise.withResolvers<void>();
    for (const signal of heeded(["SIGINT", "SIGTERM", "SIGHUP"])) process.once(signal, () => interrupted.resolve());
    const config = withToken(configured, log);
    await using coordinator = await startConfiguredCoordinator(config, log);
    await using _telemetry = await startConfiguredTelemetry(
      "coordinator",
      { ...config, coordinatorUrl: coordinator.url },
      context,
      log,
      coordinator,
    );
    log.info(`Start a runner with: ${context.program()} -c ${coordinator.url}${executorOption(config, context.env)}`);
    log.info(dashboardLine(coordinator, config, context));
    await interrupted.promise;
    log.info("Shutting down");
    return ExitCode.ok;
  },
};
