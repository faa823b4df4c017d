import * as v from "valibot";
import { RunId, SessionId } from "../../protocol/identifiers.ts";
import type { AssignedRun } from "../../protocol/poll.ts";
import { RunType } from "../../protocol/run.ts";
import { Traceparent, Tracestate } from "../../protocol/trace-context.ts";
import type { Outcome } from "../runs/outcome.ts";

/* The JSON columns of the journal. Another version of this program may have written them, so each is validated. */

/** The generations have the names on disk that version 0.1.0 gave them. */
const GenerationEntry = v.pipe(
  v.picklist(["G1", "G2"]),
  v.transform((entry) => (entry === "G1" ? "first" : "second")),
);

export const AssignedEntry = v.object({
  runId: RunId,
  sessionId: SessionId,
  type: RunType,
  agentName: v.nullable(v.string()),
  projectDir: v.nullable(v.string()),
  parentSessionId: v.nullable(v.string()),
  generation: GenerationEntry,
  // Version 0.1.0 did not write it.
  traceparent: v.exactOptional(Traceparent),
  tracestate: v.exactOptional(Tracestate),
});

/** Leaves out prompts: an adopted run already has its prompt. */
export function assignedEntry(assigned: AssignedRun): v.InferInput<typeof AssignedEntry> {
  const { prompt: _prompt, parameters: _parameters, resolvedBlueprint: _blueprint, generation, ...kept } = assigned;
  return { ...kept, generation: generation === "first" ? "G1" : "G2" };
}

export const IdentityEntry = v.object({
  pid: v.pipe(v.number(), v.integer(), v.minValue(2)),
  startedAt: v.string(),
  bootId: v.string(),
});

export const CancelEntry = v.variant("kind", [
  v.object({ kind: v.literal("stop-command") }),
  v.object({ kind: v.literal("shutdown") }),
  v.object({ kind: v.literal("revoked") }),
  v.object({ kind: v.picklist(["run-timeout", "abandoned"]), afterMs: v.number() }),
]);

export const ActivityEntry = v.object({
  assistantMessageSent: v.boolean(),
  sessionStopSent: v.boolean(),
  // Earlier versions did not write it.
  sessionStopAt: v.optional(v.nullable(v.string()), null),
  resultSent: v.boolean(),
  lastAssistantText: v.string(),
});

const timed = { durationMs: v.optional(v.pipe(v.number(), v.minValue(0))) };

export const OutcomeEntry = v.variant("kind", [
  v.object({ kind: v.literal("succeeded"), ...timed }),
  v.object({
    kind: v.literal("failed"),
    error: v.string(),
    reason: v.optional(v.picklist(["temporary", "interrupted"])),
    ...timed,
  }),
  v.object({
    kind: v.picklist(["timed-out", "not-started", "vanished", "cannot-run", "given-back"]),
    error: v.string(),
    ...timed,
  }),
  v.object({ kind: v.literal("stopped"), signal: v.string(), ...timed }),
  v.pipe(
    v.object({ kind: v.literal("claim-lost"), reason: v.string() }),
    v.transform(({ reason }) => ({ kind: "claim-revoked" as const, reason })),
  ),
]);

/** Names a revoked claim `claim-lost`, as version 0.1.0 did. */
export function outcomeEntry(outcome: Outcome): v.InferInput<typeof OutcomeEntry> {
  return outcome.kind === "claim-revoked" ? { ...outcome, kind: "claim-lost" } : outcome;
}
