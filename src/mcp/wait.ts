import { linked } from "../async/linked.ts";
import { isTerminal } from "../protocol/run.ts";
import type { CallContext } from "./call-context.ts";

const PROGRESS_EVERY_MS = 10_000;

/** The statuses of a session with an open run. */
const OPEN: ReadonlySet<string> = new Set(["pending", "running", "stopping"]);

/**
 * `draining`: the runner claims no more runs, so the awaited run may never begin here. `cancelled`: the caller
 * cancelled the call or its run has ended. Neither stops the awaited run.
 */
export type Waited<T> = { readonly kind: "done"; readonly value: T } | { readonly kind: "draining" | "cancelled" };

export interface EndedRun {
  readonly status: string;
  readonly error: string | null;
}

/** Waits for the end of a run that the caller has just created. Rejects if the coordinator no longer knows the run. */
export function untilRunEnded(context: CallContext, runId: string, sessionId: string): Promise<Waited<EndedRun>> {
  const check = async (): Promise<EndedRun | null> => {
    const run = await context.hooks.run(runId);
    return isTerminal(run.status) ? run : null;
  };
  return wait(context, sessionId, check, null);
}

/** Waits up to `ms` until a session in the caller's tree has no open run. Resolves to the session's status. */
export async function untilSettled(context: CallContext, sessionId: string, ms: number): Promise<string> {
  const check = async (): Promise<string | null> => {
    const status = await context.calls.status(sessionId);
    return OPEN.has(status) ? null : status;
  };
  const waited = await wait(context, sessionId, check, ms);
  return waited.kind === "done" ? waited.value : context.calls.status(sessionId);
}

async function wait<T>(
  context: CallContext,
  sessionId: string,
  check: () => Promise<T | null>,
  ms: number | null,
): Promise<Waited<T>> {
  const { hooks, caller, cancelled, progress } = context;
  using _ = caller.runId === null ? null : hooks.waits(caller.runId);
  using over = linked(cancelled, caller.ended, hooks.draining);
  const sinceMs = performance.now();
  const notify = (): void =>
    void progress(`Waiting for session ${sessionId} (${Math.round((performance.now() - sinceMs) / 1000)} s)`);
  const timers = [setInterval(notify, PROGRESS_EVERY_MS), ...(ms === null ? [] : [setTimeout(() => over.abort(), ms)])];
  try {
    notify();
    const value = await hooks.watch.until(sessionId, check, over.signal);
    if (value !== null) return { kind: "done", value };
    return { kind: hooks.draining.aborted && !cancelled.aborted && !caller.ended.aborted ? "draining" : "cancelled" };
  } finally {
    for (const timer of timers) clearTimeout(timer);
  }
}
