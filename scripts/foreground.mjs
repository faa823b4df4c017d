// Runs before anything is installed, under Node >= 18 and under Bun: no dependency, no TypeScript.
import { spawn } from "node:child_process";
import { constants } from "node:os";

const SAME_SIGNAL_MS = 1000;
const CHECK_PARENT_EVERY_MS = 500;

/**
 * Runs `command` in place of this process, in the same terminal and process group. Resolves to the exit code, which is
 * 128 plus the signal's number after a signal. Rejects if the command cannot start.
 *
 * A terminal sends Ctrl+C to the whole group, so the child already has it. It is not passed on: programs take a second
 * SIGINT for "at once". A signal to this process alone is passed on once, however many parents send it. This process
 * never ends before its child.
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
  // `npm start` runs a shell between npm and this process. SIGTERM to npm ends those two only, so this process must
  // notice the end of its parent.
  const parent = process.ppid;
  const orphaned = setInterval(() => {
    if (process.env.npm_lifecycle_event === undefined || process.ppid === parent) return;
    clearInterval(orphaned);
    passOn("SIGTERM");
  }, CHECK_PARENT_EVERY_MS);
  return () => {
    clearInterval(orphaned);
    for (const signal of signals) process.removeListener(signal, onSignal);
  };
}
