import { isTerminal } from "../protocol/run.ts";
import type { CallContext } from "./call-context.ts";

const PROGRESS_EVERY_MS = 10_000;

/** A session in one of these is under way. */
const BUSY: ReadonlySet<string> = new Set(["pending", "running", "stopping"]);

/**
 * `draining`: the runner takes no more runs, so that the one that is waited for may not begin before another has taken it. `cancelled`:
 * nobody waits for the answer any more. Neither ends the run.
 */
export type Waited<T> = { readonly kind: "seen"; readonly value: T } | { readonly kind: "draining" | "cancelled" };

export interface EndedRun {
  readonly status: string;
  readonly error: string | null;
}

/** Waits for the end of a run that the caller has just created. Rejects where the coordinator does not know it any more. */
export function untilRunEnded(context: CallContext, runId: string, sessionId: string): Promise<Waited<EndedRun>> {
  const look = async (): Promise<EndedRun | null> => {
    const run = await context.hooks.run(runId);
    return isTerminal(run.status) ? run : null;
  };
  return wait(context, sessionId, look, null);
}

/** Waits until nothing is under way in a session of the caller's, for `ms` at most, and resolves to its status. */
export async function untilSettled(context: CallContext, sessionId: string, ms: number): Promise<string> {
  const look = async (): Promise<string | null> => {
    const status = await context.calls.status(sessionId);
    return BUSY.has(status) ? null : status;
  };
  const waited = await wait(context, sessionId, look, ms);
  return waited.kind === "seen" ? waited.value : context.calls.status(sessionId);
}

async function wait<T>(
  context: CallContext,
  sessionId: string,
  look: () => Promise<T | null>,
  ms: number | null,
): Promise<Waited<T>> {
  const { hooks, caller, cancelled, progress } = context;
  using _ = caller.runId === null ? null : hooks.waits(caller.runId);
  const over = new AbortController();
  const end = (): void => over.abort();
  const signals = [cancelled, caller.ended, hooks.draining];
  for (const signal of signals) signal.addEventListener("abort", end, { once: true });
  if (signals.some((signal) => signal.aborted)) end();
  const sinceMs = performance.now();
  const tell = (): void =>
    void progress(`Session ${sessionId} is under way, for ${Math.round((performance.now() - sinceMs) / 1000)} s now`);
  const timers = [setInterval(tell, PROGRESS_EVERY_MS), ...(ms === null ? [] : [setTimeout(end, ms)])];
  try {
    tell();
    const value = await hooks.watch.until(sessionId, look, over.signal);
    if (value !== null) return { kind: "seen", value };
    return { kind: hooks.draining.aborted && !cancelled.aborted && !caller.ended.aborted ? "draining" : "cancelled" };
  } finally {
    for (const timer of timers) clearTimeout(timer);
    for (const signal of signals) signal.removeEventListener("abort", end);
  }
}
