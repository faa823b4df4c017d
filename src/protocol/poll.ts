import * as v from "valibot";
import { clip } from "../errors.ts";
import { Blueprint } from "./agent.ts";
import { RunId, SessionId } from "./identifiers.ts";
import { promptOfParameters } from "./parameters.ts";
import { OutputWanted } from "./run-output.ts";
import { RunType } from "./run.ts";
import { traceFields, Traceparent, Tracestate } from "./trace-context.ts";

/** The version of the Python coordinator whose fields a message has; the built-in coordinator counts as the first. */
export type Generation = "first" | "second";

/** A run assigned to this runner, in one form for both generations (`docs/protocol.md`, section 15). */
export interface AssignedRun {
  readonly runId: string;
  readonly sessionId: string;
  readonly type: RunType;
  readonly agentName: string | null;
  /** The first generation's `prompt`, or the second generation's `parameters` as text. */
  readonly prompt: string;
  /** The second generation's `parameters`; `{prompt}` in the first. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly projectDir: string | null;
  readonly parentSessionId: string | null;
  /**
   * The second generation sends the resolved blueprint with the answer to a poll, or null without one. Undefined in the
   * first generation, and for a run that was read in another way.
   */
  readonly resolvedBlueprint: Blueprint | null | undefined;
  readonly generation: Generation;
  /** The trace that the run belongs to (W3C Trace Context), if its creator set one. */
  readonly traceparent?: string;
  readonly tracestate?: string;
}

/** One answer to the poll. */
export type PollMessage =
  | { readonly kind: "nothing" }
  | { readonly kind: "deregistered" }
  | { readonly kind: "stops"; readonly runIds: readonly string[]; readonly sessionIds: readonly string[] }
  | { readonly kind: "run"; readonly run: AssignedRun }
  /** Somebody wants to see the output of runs. */
  | { readonly kind: "output-wanted"; readonly wanted: readonly OutputWanted[] }
  /** A malformed run, which can still be reported failed. */
  | { readonly kind: "bad-run"; readonly runId: string; readonly sessionId: string | null; readonly fault: string }
  /** A message that this runner does not support (the second generation's script sync). */
  | { readonly kind: "unknown"; readonly keys: readonly string[] };

const WireRun = v.looseObject({
  run_id: RunId,
  session_id: SessionId,
  type: RunType,
  agent_name: v.nullish(v.string(), null),
  prompt: v.nullish(v.string()),
  parameters: v.nullish(v.record(v.string(), v.unknown())),
  project_dir: v.nullish(v.string(), null),
  parent_session_id: v.nullish(v.string(), null),
  resolved_agent_blueprint: v.nullish(Blueprint),
  // An invalid trace context counts as absent: it must not prevent the run.
  traceparent: v.fallback(v.optional(Traceparent), undefined),
  tracestate: v.fallback(v.optional(Tracestate), undefined),
});

const Envelope = v.looseObject({
  run: v.nullish(v.looseObject({ run_id: RunId })),
  stop_runs: v.nullish(v.array(v.string())),
  stop_sessions: v.nullish(v.array(v.string())),
  deregistered: v.nullish(v.boolean()),
  // A malformed request for output is ignored, without losing the rest of the message.
  output_wanted: v.optional(v.fallback(v.nullable(v.array(OutputWanted)), null)),
});

/** Parses the body of a 200 to the poll; null if the body has an unexpected shape. */
export function parsePollMessage(body: unknown): PollMessage | null {
  const envelope = v.safeParse(Envelope, body);
  // Valibot accepts an array as an object.
  if (!envelope.success || Array.isArray(body)) return null;
  const { run, stop_runs, stop_sessions, deregistered, output_wanted } = envelope.output;
  if (run != null) return parseAssignedRun(run);
  if (stop_runs != null || stop_sessions != null)
    return { kind: "stops", runIds: stop_runs ?? [], sessionIds: stop_sessions ?? [] };
  if (deregistered === true) return { kind: "deregistered" };
  if (output_wanted != null) return { kind: "output-wanted", wanted: output_wanted };
  const keys = Object.keys(envelope.output);
  return keys.length === 0 ? { kind: "nothing" } : { kind: "unknown", keys };
}

/** Parses a run from the poll, or from `GET /runs` for a lost claim. */
export function parseAssignedRun(body: { readonly run_id: string; readonly session_id?: unknown }): PollMessage {
  const parsed = v.safeParse(WireRun, body);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    const fault = `the coordinator sent an invalid run: ${v.getDotPath(issue) ?? "run"}: ${clip(issue.message)}`;
    return {
      kind: "bad-run",
      runId: body.run_id,
      sessionId: typeof body.session_id === "string" ? body.session_id : null,
      fault,
    };
  }
  const run = parsed.output;
  // The second generation has no prompt. A coordinator that serves runners of both has both fields.
  const generation = run.parameters == null || run.prompt != null ? "first" : "second";
  return {
    kind: "run",
    run: {
      runId: run.run_id,
      sessionId: run.session_id,
      type: run.type,
      // Some clients send an empty name for none.
      agentName: run.agent_name || null,
      prompt: run.prompt ?? promptOfParameters(run.parameters ?? {}),
      parameters: run.parameters ?? { prompt: run.prompt ?? "" },
      projectDir: run.project_dir || null,
      parentSessionId: run.parent_session_id,
      resolvedBlueprint: generation === "second" ? run.resolved_agent_blueprint : undefined,
      generation,
      ...traceFields(run),
    },
  };
}
