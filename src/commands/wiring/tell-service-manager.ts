import type { Environment } from "../../config/environment.ts";
import { notifySocket } from "../../process/sockets/notify-socket.ts";
import type { RunnerState } from "../../runner/runner-state.ts";
import type { RunnerStatus } from "../../runner/runner-status.ts";

/** sd_watchdog_enabled(3) recommends a ping every half of the limit. */
const PINGS_PER_LIMIT = 2;
const MISSED_HEARTBEATS = 2;

const NOTIFICATIONS: Readonly<Record<RunnerState, string>> = {
  // Ready before the coordinator answers: the service manager would give up a start that waited for an outage to end.
  starting: "READY=1\nSTATUS=Registering with the coordinator",
  online: "READY=1\nSTATUS=Taking runs",
  draining: "STOPPING=1\nSTATUS=Waiting for the runs to end",
  stopping: "STOPPING=1\nSTATUS=Stopping the runs",
  left: "STOPPING=1\nSTATUS=Left",
};

export interface ServiceManager extends Disposable {
  onState(state: RunnerState): void;
  /** Starts the watchdog pings for this runner. */
  watch(runner: { status(): RunnerStatus }): void;
}

/**
 * Notifies systemd (sd_notify(3)) of the runner's state and pings its watchdog. A ping says that calls to the
 * coordinator still end, answered or not. An outage of the coordinator is no reason for a restart; a runner whose polls
 * and heartbeats have stopped is, and its executors outlive the restart. Does nothing without NOTIFY_SOCKET.
 */
export function tellServiceManager(env: Environment, notify: typeof notifySocket = notifySocket): ServiceManager {
  const socket = env["NOTIFY_SOCKET"];
  if (!socket) return { onState() {}, watch() {}, [Symbol.dispose]() {} };
  const limitMs = watchdogMs(env);
  let timer: ReturnType<typeof setInterval> | undefined;
  return {
    onState: (state) => void notify(socket, NOTIFICATIONS[state]),
    watch(runner) {
      if (limitMs === null) return;
      const beganMs = performance.now();
      timer = setInterval(() => {
        if (isAtWork(runner.status(), beganMs, limitMs)) notify(socket, "WATCHDOG=1");
      }, limitMs / PINGS_PER_LIMIT);
      timer.unref();
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

/** Whether a call to the coordinator ended within the limit, or within two heartbeats if those are further apart. */
export function isAtWork(
  { lastCallAtMs, heartbeatIntervalMs }: Pick<RunnerStatus, "lastCallAtMs" | "heartbeatIntervalMs">,
  beganMs: number,
  limitMs: number,
): boolean {
  const silentMs = performance.now() - (lastCallAtMs ?? beganMs);
  return silentMs < Math.max(limitMs, heartbeatIntervalMs * MISSED_HEARTBEATS);
}

/** The watchdog limit that systemd set for this process; null if it set none. */
function watchdogMs(env: Environment): number | null {
  const pid = env["WATCHDOG_PID"];
  const microseconds = Number(env["WATCHDOG_USEC"] ?? "");
  if ((pid && Number(pid) !== process.pid) || !Number.isFinite(microseconds) || microseconds <= 0) return null;
  return microseconds / 1000;
}
