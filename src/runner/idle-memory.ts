import { aborted } from "../async/aborted.ts";
import { delay } from "../async/delay.ts";
import { linked } from "../async/linked.ts";
import type { Bell } from "./runs/bell.ts";
import type { RunRegistry } from "./runs/run-registry.ts";

/** Shorter pauses between runs cost no collection. */
const IDLE_MS = 5_000;

/** Compiled code is a large part of what runs leave behind. What is used again is compiled again. */
function shrink(): void {
  Bun.shrink();
  Bun.gc(true);
}

/**
 * Returns the memory of ended runs to the system once the runner is idle. Bun collects garbage when it needs memory,
 * and an idle runner needs none: it could keep the garbage until its next runs.
 */
export async function freeMemoryWhenIdle(options: {
  readonly registry: Pick<RunRegistry, "size">;
  /** Rings when `registry` changes. */
  readonly bell: Bell;
  readonly signal: AbortSignal;
  readonly idleMs?: number;
  readonly collect?: () => void;
}): Promise<void> {
  const { registry, bell, signal, idleMs = IDLE_MS, collect = shrink } = options;
  const end = aborted(signal);
  let hasWorked = false;
  while (!signal.aborted) {
    const rung = bell.rung();
    hasWorked ||= registry.size > 0;
    using rest = linked(signal);
    if (hasWorked && registry.size === 0) {
      void rung.then(() => rest.abort());
      await delay(idleMs, rest.signal);
      if (rest.signal.aborted) continue;
      hasWorked = false;
      collect();
    }
    await Promise.race([rung, end]);
  }
}
