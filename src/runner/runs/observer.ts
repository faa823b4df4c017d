import { type TraceFields, traceFields } from "../../protocol/trace-context.ts";
import type { ActiveRun } from "./active-run.ts";
import type { Outcome } from "./outcome.ts";

/** Is told what happens, to count it and to trace it. Nothing waits for it, nothing depends on it, and none of it throws. */
export interface RunnerObserver {
  /** What its executor's own spans, and the runs that it starts, belong to. */
  traceOf(run: ActiveRun): TraceFields;
  /** The run is through: acknowledged, or refused for good. When it came into which state, it tells itself. */
  runEnded(run: ActiveRun, outcome: Outcome): void;
  heartbeatFailed(): void;
  /** So many processes of a run that were left when its executor had ended were ended. */
  leftoversEnded(count: number): void;
}

/** For a runner that nobody watches: a trace that a run belongs to is handed on to its executor all the same. */
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
