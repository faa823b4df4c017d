import { type TraceFields, traceFields } from "../../protocol/trace-context.ts";
import type { ActiveRun } from "./active-run.ts";
import type { Outcome } from "./outcome.ts";

/** Hooks for metrics and traces. They never throw, and the runner does not wait for them. */
export interface RunnerObserver {
  /** The trace for the executor's spans and for the runs that its agent starts. */
  traceOf(run: ActiveRun): TraceFields;
  /** The run has entered `ended`. The run knows when it entered each state. */
  runEnded(run: ActiveRun, outcome: Outcome): void;
  heartbeatFailed(): void;
  /** The runner has ended this number of leftovers of a run. */
  leftoversEnded(count: number): void;
}

/** Without metrics and traces. Still passes the trace of a run on to its executor. */
export const unobserved: RunnerObserver = {
  traceOf: ({ assigned }) => traceFields(assigned),
  runEnded() {},
  heartbeatFailed() {},
  leftoversEnded() {},
};

export function traceVariables({ traceparent, tracestate }: TraceFields): Readonly<Record<string, string>> {
  if (traceparent === undefined) return {};
  return tracestate === undefined ? { TRACEPARENT: traceparent } : { TRACEPARENT: traceparent, TRACESTATE: tracestate };
}
