import { describeError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { RunTransitions } from "./run-transitions.ts";
import type { Runners } from "./runners.ts";
import type { CoordinatorTimings } from "./timings.ts";

/** What happens by the passing of time alone: leases that run out, runs nobody can take, runners that fall silent. */
export function startSweep(runners: Runners, transitions: RunTransitions, timings: CoordinatorTimings, log: Log): Disposable {
  const { claimLeaseMs, noMatchTimeoutMs, staleAfterMs, removeAfterMs } = timings;
  const shortest = Math.min(claimLeaseMs, noMatchTimeoutMs, staleAfterMs, removeAfterMs);
  const sweep = (): void => {
    try {
      transitions.expire();
      sweepRunners(runners, transitions, timings, log);
    } catch (error) {
      log.error(`sweep: ${describeError(error)}`);
    }
  };
  // Often enough that a deadline is missed by a tenth of it at most.
  const timer = setInterval(sweep, Math.min(1_000, Math.max(10, shortest / 10)));
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function sweepRunners(runners: Runners, transitions: RunTransitions, timings: CoordinatorTimings, log: Log): void {
  for (const runner of runners.all()) {
    const silence = runners.silenceMs(runner);
    const context = { runner: runner.runner_id, host: runner.hostname };
    if (silence > timings.removeAfterMs) {
      transitions.removeRunner(runner.runner_id, false);
      log.warn("runner removed: it has been silent for too long", context);
    } else if (silence > timings.staleAfterMs && runner.status === "online") {
      runners.markStale(runner.runner_id);
      log.warn("runner stale: no heartbeat", context);
    }
  }
}
