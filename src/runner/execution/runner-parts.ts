import type { Executor } from "../../catalog/executor.ts";
import type { CoordinatorClient, Report } from "../../client/coordinator-client.ts";
import type { Config } from "../../config/load-config.ts";
import type { Gateway } from "../../gateway/gateway.ts";
import type { Log } from "../../log.ts";
import type { OutputWatch } from "../../process/output/output-watch.ts";
import type { Leftovers } from "../../process/leftovers.ts";
import type { RunCgroups } from "../../process/run-cgroups.ts";
import type { Watchdog } from "../../process/watchdog.ts";
import type { DeliverOptions } from "../link/deliver.ts";
import type { Intake } from "../runs/intake.ts";
import type { Journal } from "../journal/journal.ts";
import type { RunnerObserver } from "../runs/observer.ts";
import type { QuickFailures } from "../runs/quick-failures.ts";
import type { Registration } from "../link/registration.ts";

/** The parts of the runner that execute runs. */
export interface RunnerParts {
  readonly config: Config;
  readonly executor: Executor;
  readonly coordinator: CoordinatorClient;
  readonly registration: Registration;
  readonly gateway: Gateway;
  readonly journal: Journal;
  readonly intake: Intake;
  readonly quickFailures: QuickFailures;
  /** Fires when the runner stops its runs. */
  readonly stopping: AbortSignal;
  /** The identity of this runner, for file names. */
  readonly identityKey: string;
  readonly outputs: OutputWatch;
  readonly leftovers: Leftovers;
  readonly cgroups: RunCgroups;
  readonly watchdog: Watchdog;
  readonly observer: RunnerObserver;
  readonly delivery: Omit<DeliverOptions, "context" | "signal">;
  /** The variables that executors inherit from this process. */
  readonly inheritedEnv: Readonly<Record<string, string>>;
  /** Has one folder per run, named after its id. */
  readonly runsFolder: string;
  readonly log: Log;
}

/** Sends a report without a retry. Waits for the first registration. */
export async function sendReport(
  { coordinator, registration, journal }: RunnerParts,
  runId: string,
  report: Report,
): Promise<void> {
  const moment = await coordinator.report(await registration.id(), runId, report);
  if (moment !== null) journal.seen = moment;
}
