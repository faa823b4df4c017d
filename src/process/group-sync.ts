import { closeSync, fdatasync, fsyncSync, openSync } from "node:fs";
import { dirname } from "node:path";

/** Flushes the data of an open file to the disk. */
export type Flush = (fd: number, done: (error: NodeJS.ErrnoException | null) => void) => void;

/**
 * Group commit: many writers of one file share one flush to the disk.
 *
 * A write that only reached the operating system survives the death of the process, not a power cut. A flush per
 * write costs more than the write. So each writer calls `written()` and waits for `synced()` before it acknowledges
 * anything: one flush is in flight at a time, and the next one covers every write that came meanwhile. The flush runs
 * in a thread and does not hold up the event loop.
 */
export class GroupSync implements Disposable {
  readonly #fd: number;
  readonly #toDisk: Flush;
  #isDirty = false;
  #inFlight: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #isClosed = false;

  /** `path` exists. Throws where it cannot be opened. */
  constructor(path: string, toDisk: Flush = fdatasync) {
    this.#toDisk = toDisk;
    // Windows flushes only what is open for writing.
    this.#fd = openSync(path, process.platform === "win32" ? "r+" : "r");
    syncFolder(dirname(path));
  }

  /** Something was written to the file. */
  written(): void {
    this.#isDirty = true;
  }

  /** Resolves when everything written before this call is on the disk; rejects where the disk cannot take it. */
  synced(): Promise<void> {
    if (!this.#isDirty) return this.#inFlight ?? Promise.resolve();
    if (this.#inFlight === undefined) return this.#flush();
    // The flush in flight may have begun before the latest write.
    this.#next ??= this.#inFlight.catch(() => {}).then(() => this.#flush());
    return this.#next;
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // A flush in flight still needs the descriptor.
    void (this.#inFlight ?? Promise.resolve()).catch(() => {}).finally(() => closeSync(this.#fd));
  }

  #flush(): Promise<void> {
    this.#next = undefined;
    if (this.#isClosed) return Promise.resolve();
    this.#isDirty = false;
    const flush = new Promise<void>((resolve, reject) => {
      this.#toDisk(this.#fd, (error) => {
        this.#inFlight = undefined;
        if (error === null) return resolve();
        // What this flush did not store is still to be stored.
        this.#isDirty = true;
        reject(error);
      });
    });
    this.#inFlight = flush;
    return flush;
  }
}

/** A new file survives a power cut only once the folder that names it is on the disk. Windows has no such flush. */
function syncFolder(folder: string): void {
  if (process.platform === "win32") return;
  const fd = openSync(folder, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
