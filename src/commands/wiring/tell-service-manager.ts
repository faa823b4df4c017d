import type { Environment } from "../../config/environment.ts";
import { notifySocket } from "../../process/notify-socket.ts";
import type { RunnerState } from "../../runner/runner-state.ts";
import type { RunnerStatus } from "../../runner/runner-status.ts";

/** systemd wants twice as many as it needs. */
const PINGS_A_LIMIT = 2;
const MISSED_HEARTBEATS = 2;

const SAID: Readonly<Record<RunnerState, string>> = {
  // Ready, though the coordinator may be away: a start that waited for it would be given up by the service manager.
  starting: "READY=1\nSTATUS=Registering with the coordinator",
  online: "READY=1\nSTATUS=Taking runs",
  draining: "STOPPING=1\nSTATUS=Waiting for the runs to end",
  stopping: "STOPPING=1\nSTATUS=Stopping the runs",
  left: "STOPPING=1\nSTATUS=Left",
};

export interface ServiceManager extends Disposable {
  onState(state: RunnerState): void;
  /** From now on it is said that the program is at work, as long as it is. */
  watch(runner: { status(): RunnerStatus }): void;
}

/**
 * Tells systemd (sd_notify(3)) what the runner is at, and that it is at work: that calls to the coordinator still come to an end, answered
 * or not. A coordinator that is away is no reason to be restarted; a runner whose polls and heartbeats have stopped is, and its executors
 * outlive that. Without a service manager that asks for it nothing is done.
 */
export function tellServiceManager(env: Environment, notify: typeof notifySocket = notifySocket): ServiceManager {
  const socket = env["NOTIFY_SOCKET"];
  if (!socket) return { onState() {}, watch() {}, [Symbol.dispose]() {} };
  const limitMs = watchdogMs(env);
  let timer: ReturnType<typeof setInterval> | undefined;
  return {
    onState: (state) => void notify(socket, SAID[state]),
    watch(runner) {
      if (limitMs === null) return;
      const beganMs = performance.now();
      timer = setInterval(() => {
        if (isAtWork(runner.status(), beganMs, limitMs)) notify(socket, "WATCHDOG=1");
      }, limitMs / PINGS_A_LIMIT);
      timer.unref();
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

/** Whether a call to the coordinator has come to an end lately. Where heartbeats are further apart than the limit, they count. */
export function isAtWork(
  { lastCallAtMs, heartbeatIntervalMs }: Pick<RunnerStatus, "lastCallAtMs" | "heartbeatIntervalMs">,
  beganMs: number,
  limitMs: number,
): boolean {
  const silentMs = performance.now() - (lastCallAtMs ?? beganMs);
  return silentMs < Math.max(limitMs, heartbeatIntervalMs * MISSED_HEARTBEATS);
}

/** The time within which systemd wants to hear something; null where it does not ask this process. */
function watchdogMs(env: Environment): number | null {
  const pid = env["WATCHDOG_PID"];
  const microseconds = Number(env["WATCHDOG_USEC"] ?? "");
  if ((pid && Number(pid) !== process.pid) || !Number.isFinite(microseconds) || microseconds <= 0) return null;
  return microseconds / 1000;
}
