import { aborted } from "../async/aborted.ts";
import { delay, withDeadline } from "../async/delay.ts";
import { linked } from "../async/linked.ts";
import type { CoordinatorClient } from "../client/coordinator-client.ts";
import { failureOfThrown } from "../client/failure.ts";
import type { Log } from "../log.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { Link } from "./link/link.ts";
import type { Bell } from "./runs/bell.ts";
import type { Poller } from "./polling/poller.ts";
import type { Registration } from "./link/registration.ts";
import type { RunRegistry } from "./runs/run-registry.ts";

export interface LeaveOptions {
  readonly coordinator: CoordinatorClient;
  readonly registration: Registration;
  readonly registry: RunRegistry;
  /** Rings when `registry` changes. */
  readonly bell: Bell;
  readonly dispatcher: Dispatcher;
  readonly poller: Poller;
  readonly link: Link;
  readonly log: Log;
  /** Fires when the runs are stopped. The last reports then have `LAST_REPORTS_MS` to be acknowledged. */
  readonly stopping: AbortSignal;
}

const LAST_REPORTS_MS = 10_000;
/** A coordinator ends the open poll within half a second. The runner does not wait longer than this. */
const OPEN_POLL_MS = 3_000;

/**
 * Shuts down without stranding a run in a ghost poll (`docs/protocol.md`, section 0). Order: the reports of all runs,
 * which need the registration; then the open poll, which the external form of DELETE ends at once; then the
 * registration.
 */
export async function leave(options: LeaveOptions): Promise<void> {
  const { registry, dispatcher, registration } = options;
  for (;;) {
    const isReported = await untilReported(options);
    if (!isReported) return;
    await endOpenPoll(options);
    // The open poll may have brought a last run.
    if (registry.size === 0) break;
  }
  await dispatcher.settled();
  await registration.close();
}

/**
 * Waits until every run is reported, those included that a hook still works on. Returns false if the coordinator does
 * not take the last reports in time.
 */
async function untilReported({ registry, poller, bell, stopping, log }: LeaveOptions): Promise<boolean> {
  let giveUpAtMs: number | null = null;
  if (poller.inHook > 0) log.info("Waiting for a hook of the coordinator, which may still bring a run");
  while (registry.size > 0 || poller.inHook > 0) {
    if (stopping.aborted && registry.executing === 0) giveUpAtMs ??= performance.now() + LAST_REPORTS_MS;
    if (giveUpAtMs !== null && performance.now() >= giveUpAtMs) return false;
    using early = linked(stopping.aborted ? undefined : stopping);
    const pause = giveUpAtMs === null ? aborted(early.signal) : delay(giveUpAtMs - performance.now(), early.signal);
    await Promise.race([bell.rung(), pause]);
    // Ends the timer of the pause.
    early.abort();
  }
  return true;
}

async function endOpenPoll({ poller, link, coordinator, registration, log }: LeaveOptions): Promise<void> {
  const open = poller.openClaim;
  // Once another instance has the registration, the call would end that one's.
  if (open === null || link.isDown || !registration.isRegistered) return;
  try {
    await coordinator.deregister(registration.runnerId, { self: false });
    if ((await withDeadline(open, OPEN_POLL_MS)) === "timeout")
      log.warn("The coordinator did not end the open poll; leaving anyway");
  } catch (error) {
    log.debug(`Could not end the open poll: ${failureOfThrown("deregister", error).message}`);
  }
}
