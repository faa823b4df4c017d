// Runs under Node >= 18 and under Bun, before anything is installed: no dependency, no TypeScript.
import { spawn } from "node:child_process";
import { constants } from "node:os";

const SAME_SIGNAL_MS = 1000;
const LOOK_FOR_PARENT_MS = 500;

/**
 * Runs `command` in this process's place: same terminal, same process group. Resolves with the exit code to leave with
 * (128 + the signal's number where a signal ended it); rejects where the command cannot be started.
 *
 * A terminal gives Ctrl-C to the whole group, so the child has it already and is not told again: programs take a second
 * SIGINT for "at once". A signal sent to this process alone is passed on, once, however many of the parents (npm, this
 * one) pass it on to us. In no case does this process end before its child.
 */
export function runForeground(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: "inherit" });
    const passedOn = new Map();
    const passOn = (signal) => {
      const now = performance.now();
      if (now - (passedOn.get(signal) ?? -Infinity) < SAME_SIGNAL_MS) return;
      passedOn.set(signal, now);
      child.kill(signal);
    };
    const stopListening = listen(passOn);
    const settle = (act, value) => {
      stopListening();
      act(value);
    };
    child.once("error", (error) => settle(reject, error));
    child.once("exit", (code, signal) => settle(resolve, code ?? 128 + (constants.signals[signal] ?? 0)));
  });
}

function listen(passOn) {
  const onSignal = (signal) => {
    if (signal !== "SIGINT" || !process.stdin.isTTY) passOn(signal);
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, onSignal);
  // `npm start` has a shell between npm and us. SIGTERM to npm ends both and reaches nobody else: the program would go on alone.
  const parent = process.ppid;
  const orphaned = setInterval(() => {
    if (process.env.npm_lifecycle_event === undefined || process.ppid === parent) return;
    clearInterval(orphaned);
    passOn("SIGTERM");
  }, LOOK_FOR_PARENT_MS);
  return () => {
    clearInterval(orphaned);
    for (const signal of signals) process.removeListener(signal, onSignal);
  };
}
