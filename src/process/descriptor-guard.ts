import { closeSync, openSync } from "node:fs";
import { devNull } from "node:os";
import { errorCode } from "../errors.ts";
import type { Log } from "../log.ts";

const CHECK_EVERY_MS = 1_000;
/** One turn of the event loop in this time is little work for a core, and little delay for open connections. */
const PAUSE_MS = 25;
/** Connections that come and go take and free descriptors all the time. */
const TOLD_EVERY_MS = 60_000;

/**
 * Keeps a server without free file descriptors from using a whole core. The system reports a connection that waits; the
 * runtime cannot accept it, and asks again at once, without end. Until a descriptor is free, this pauses the event loop
 * for a moment in each turn. Open connections are served meanwhile; new ones wait.
 */
export class DescriptorGuard implements Disposable {
  readonly #log: Log;
  readonly #timer: Timer;
  #isPausing = false;
  #isDisposed = false;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(log: Log) {
    this.#log = log;
    this.#timer = setInterval(() => this.#check(), CHECK_EVERY_MS);
    this.#timer.unref();
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    clearInterval(this.#timer);
  }

  #check(): void {
    if (this.#isPausing || hasFreeDescriptor()) return;
    if (performance.now() - this.#toldAtMs >= TOLD_EVERY_MS) {
      this.#toldAtMs = performance.now();
      this.#log.warn("All file descriptors are in use: new connections wait until some are free (ulimit -n)");
    }
    this.#isPausing = true;
    this.#pause();
  }

  #pause(): void {
    this.#isPausing = !this.#isDisposed && !hasFreeDescriptor();
    if (!this.#isPausing) return;
    Bun.sleepSync(PAUSE_MS);
    setImmediate(() => this.#pause());
  }
}

function hasFreeDescriptor(): boolean {
  try {
    closeSync(openSync(devNull, "r"));
    return true;
  } catch (error) {
    return errorCode(error) !== "EMFILE" && errorCode(error) !== "ENFILE";
  }
}
