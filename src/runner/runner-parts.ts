import type { Executor } from "../catalog/executor.ts";
import type { CoordinatorClient } from "../client/coordinator-client.ts";
import type { Config } from "../config/load-config.ts";
import type { Gateway } from "../gateway/gateway.ts";
import type { Log } from "../log.ts";
import type { OutputWatch } from "../process/output-watch.ts";
import type { Remains } from "../process/remains.ts";
import type { DeliverOptions } from "./deliver.ts";
import type { Registration } from "./registration.ts";

/** What the execution of a run needs of the runner; made once, at its start. */
export interface RunnerParts {
  readonly config: Config;
  readonly executor: Executor;
  readonly coordinator: CoordinatorClient;
  readonly registration: Registration;
  readonly gateway: Gateway;
  readonly outputs: OutputWatch;
  readonly remains: Remains;
  readonly delivery: Omit<DeliverOptions, "context" | "signal">;
  /** What executors inherit of this process's environment. */
  readonly inheritedEnv: Readonly<Record<string, string>>;
  /** One folder a run, named by its id. */
  readonly runsFolder: string;
  readonly log: Log;
}
