import { failureOfThrown } from "../client/failure.ts";
import type { CoordinatorClient } from "../client/coordinator-client.ts";
import type { Log } from "../log.ts";
import type { Link } from "./link.ts";
import type { Registration } from "./registration.ts";
import type { RunRegistry } from "./run-registry.ts";

/** After so long a silence a coordinator may call us stale, and a heartbeat does not undo that: only registering does. */
const STALE_AFTER_MS = 120_000;

export interface HeartbeatOptions {
  readonly coordinator: CoordinatorClient;
  readonly registration: Registration;
  readonly registry: RunRegistry;
  readonly link: Link;
  readonly log: Log;
}

/** Sends heartbeats until disposed. They name the runs that are claimed and not started yet, which renews their leases. */
export function startHeartbeat(options: HeartbeatOptions): Disposable {
  const { coordinator, registration, registry, link, log } = options;
  let lastHeardMs = Date.now();
  let underWay = false;

  const beat = async (): Promise<void> => {
    if (underWay) return;
    underWay = true;
    // Wall clock on purpose: the machine may have slept.
    const silentMs = Date.now() - lastHeardMs;
    try {
      if (silentMs > STALE_AFTER_MS) {
        log.debug(`Silent for ${Math.round(silentMs / 1000)} s: registering again`);
        await registration.renew();
      } else {
        const claimed = registry.all().filter((run) => run.state === "queued" || run.state === "starting");
        await coordinator.heartbeat(registration.runnerId, claimed.map((run) => run.runId));
        link.up();
      }
      if (!link.isDown) lastHeardMs = Date.now();
    } catch (error) {
      const failure = failureOfThrown("heartbeat", error);
      if (failure.kind === "unregistered") await registration.renew();
      else if (failure.kind === "unreachable") link.down(failure);
      else log.debug(`Heartbeat not accepted: ${failure.message}`);
    } finally {
      underWay = false;
    }
  };
  const timer = setInterval(() => void beat(), registration.heartbeatIntervalSeconds * 1000);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
