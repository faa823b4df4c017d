import { ExitCode } from "../../errors.ts";
import { heeded } from "../../process/ignored-signals.ts";
import type { Runner } from "../../runner/runner.ts";
import type { CommandContext } from "../command-line/command.ts";

export const HANDOVER_SIGNAL = "SIGUSR2";
const EXIT_AFTER_SIGNALS = 130;
const ECHO_MS = 100;
const INTERRUPTS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Handles Ctrl+C, SIGTERM and SIGHUP (a closed terminal): the first drains, the second stops the runs, the third kills
 * the executors and exits at once. SIGUSR2 hands over: it exits at once and leaves the executors to the next start.
 * A signal that was ignored when this program started stays ignored (`nohup`).
 */
export function onInterrupts(runner: Runner, context: CommandContext): Disposable {
  const interrupts = heeded(INTERRUPTS);
  let count = 0;
  let lastMs = Number.NEGATIVE_INFINITY;
  const onSignal = (): void => {
    // A signal to the process group arrives twice if a parent such as npm passes it on.
    const isEcho = performance.now() - lastMs < ECHO_MS;
    lastMs = performance.now();
    if (isEcho) return;
    if (++count <= 2) return runner.interrupt();
    runner.killAll();
    context.exitNow(EXIT_AFTER_SIGNALS);
  };
  const onHandover = (): void => {
    runner.handOver();
    context.exitNow(ExitCode.ok);
  };
  if (process.platform !== "win32") process.on(HANDOVER_SIGNAL, onHandover);
  for (const signal of interrupts) process.on(signal, onSignal);
  return {
    [Symbol.dispose]() {
      process.off(HANDOVER_SIGNAL, onHandover);
      for (const signal of interrupts) process.off(signal, onSignal);
    },
  };
}
