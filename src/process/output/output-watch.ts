import type { RunOutput } from "./run-output.ts";

const QUICK_MS = 50;
const QUIET_MS = 800;
const CHUNK_BYTES = 256 * 1024;
/** A reader further behind than this skips to the end, so that showing a flood causes no second flood. */
const MAX_BEHIND_BYTES = 1024 * 1024;

interface Watched {
  readonly output: RunOutput;
  readonly onLine: ((line: string) => void) | undefined;
  lastSize: number;
  shownTo: number;
  partial: string;
  decoder: TextDecoder;
  intervalMs: number;
  dueAt: number;
}

/**
 * Checks the outputs of all runs with one timer: trims each file to its limit, and passes new lines to `onLine`. Checks
 * a growing file every 50 ms, and a quiet one less and less often, down to every 0.8 s.
 */
export class OutputWatch {
  readonly #watched = new Set<Watched>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Watches `output` until the returned function is called, which passes on the rest of the output first. */
  watch(output: RunOutput, onLine?: (line: string) => void): () => void {
    const watched: Watched = {
      output,
      onLine,
      lastSize: 0,
      shownTo: 0,
      partial: "",
      decoder: new TextDecoder(),
      intervalMs: QUICK_MS,
      dueAt: performance.now() + QUICK_MS,
    };
    this.#watched.add(watched);
    this.#timer ??= setInterval(() => this.#check(), QUICK_MS);
    return () => {
      if (!this.#watched.delete(watched)) return;
      if (this.#watched.size === 0) {
        clearInterval(this.#timer);
        this.#timer = undefined;
      }
      showLines(watched, watched.output.trim());
      if (watched.partial !== "") onLine?.(watched.partial);
    };
  }

  #check(): void {
    const now = performance.now();
    for (const watched of this.#watched) {
      if (now < watched.dueAt) continue;
      const size = watched.output.trim();
      const grew = size !== watched.lastSize;
      watched.lastSize = size;
      watched.intervalMs = grew ? QUICK_MS : Math.min(QUIET_MS, watched.intervalMs * 2);
      // Half a tick less, so that a tick that fires early does not skip this file.
      watched.dueAt = now + watched.intervalMs - QUICK_MS / 2;
      if (grew) showLines(watched, size);
    }
  }
}

function showLines(watched: Watched, size: number): void {
  const { output, onLine } = watched;
  if (onLine === undefined) return;
  if (size < watched.shownTo) watched.shownTo = 0;
  const to = size - watched.shownTo > MAX_BEHIND_BYTES ? size - CHUNK_BYTES : output.droppedBytes;
  if (to > watched.shownTo) {
    onLine(`[... ${to - watched.shownTo} bytes of output not shown ...]`);
    watched.partial = "";
    watched.decoder = new TextDecoder();
    watched.shownTo = to;
  }
  while (watched.shownTo < size) {
    const bytes = output.read(watched.shownTo, Math.min(CHUNK_BYTES, size - watched.shownTo));
    if (bytes.length === 0) return;
    watched.shownTo += bytes.length;
    const lines = (watched.partial + watched.decoder.decode(bytes, { stream: true })).split("\n");
    watched.partial = (lines.pop() ?? "").slice(-CHUNK_BYTES);
    for (const line of lines) onLine(line);
  }
}
