import { failureOfThrown } from "../../client/failure.ts";
import type { CoordinatorClient } from "../../client/coordinator-client.ts";
import type { Log } from "../../log.ts";
import type { Link } from "../link/link.ts";
import type { Registration } from "../link/registration.ts";
import type { Reconciler } from "./reconcile.ts";
import type { RunRegistry } from "../runs/run-registry.ts";

/** After this long a silence the coordinator may call the runner stale. Only a registration undoes that. */
const STALE_AFTER_MS = 120_000;
/** With short intervals this number of missed heartbeats is a silence too. */
const MISSED_HEARTBEATS = 4;

export interface HeartbeatOptions {
  readonly coordinator: CoordinatorClient;
  readonly registration: Registration;
  readonly registry: RunRegistry;
  readonly reconciler: Pick<Reconciler, "exchange">;
  readonly link: Link;
  readonly log: Log;
  /** Called after each heartbeat that the coordinator does not accept. */
  readonly onFailure?: () => void;
}

async function beatOnce({ coordinator, registration, registry, reconciler }: HeartbeatOptions): Promise<void> {
  if (registration.reconciles) return reconciler.exchange({ isQuiet: false });
  const claimed = registry.all().filter((run) => run.state === "queued" || run.state === "starting");
  await coordinator.heartbeat(registration.runnerId, { claimedRunIds: claimed.map((run) => run.runId) });
}

/** Sends heartbeats until disposed. They name the runs that are claimed but not started, which renews their leases. */
export function startHeartbeat(options: HeartbeatOptions): Disposable {
  const { registration, link, log } = options;
  let lastSentMs = Date.now();
  let isSending = false;
  const intervalMs = registration.heartbeatIntervalSeconds * 1000;
  const staleAfterMs = Math.min(STALE_AFTER_MS, intervalMs * MISSED_HEARTBEATS);

  const beat = async (): Promise<void> => {
    if (isSending) return;
    isSending = true;
    // The wall clock includes the time that the machine sleeps. It may sleep during a heartbeat, so the start counts.
    const beganMs = Date.now();
    const silentMs = beganMs - lastSentMs;
    try {
      if (silentMs > staleAfterMs) {
        log.debug(`Silent for ${Math.round(silentMs / 1000)} s: registering again`);
        await registration.renew();
      } else {
        await beatOnce(options);
        link.up();
      }
      if (!link.isDown) lastSentMs = beganMs;
    } catch (error) {
      options.onFailure?.();
      const failure = failureOfThrown("heartbeat", error);
      if (failure.kind === "unregistered") await registration.renew();
      else if (failure.isRetryable && failure.kind !== "unavailable") link.down(failure);
      else log.debug(`Heartbeat not accepted: ${failure.message}`);
    } finally {
      isSending = false;
    }
  };
  const timer = setInterval(() => void beat(), intervalMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
