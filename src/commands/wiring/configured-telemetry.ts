import type { Config } from "../../config/load-config.ts";
import { traceSettings } from "../../config/trace-settings.ts";
import type { Coordinator } from "../../coordinator/coordinator.ts";
import type { Log } from "../../log.ts";
import { startTelemetry, type Telemetry } from "../../telemetry/telemetry.ts";
import type { CommandContext } from "../command-line/command.ts";
import { DEFAULT_EXECUTOR } from "./resolve-executor.ts";

/** Starts metrics and traces as configured. */
export function startConfiguredTelemetry(
  command: "runner" | "up" | "coordinator",
  config: Config,
  context: CommandContext,
  log: Log,
  coordinator: Coordinator | null = null,
): Promise<Telemetry> {
  const hasRunner = command !== "coordinator";
  return startTelemetry({
    metrics: config.metrics,
    traces: hasRunner ? traceSettings(context.env) : null,
    identity: {
      command,
      coordinatorUrl: config.coordinatorUrl,
      executor: hasRunner ? (config.executorPath ?? config.executor ?? DEFAULT_EXECUTOR) : null,
      projectDir: hasRunner ? config.projectDir : null,
      tags: hasRunner ? config.tags : [],
    },
    coordinator,
    log,
  });
}
