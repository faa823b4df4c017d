import * as v from "valibot";
import { clip } from "../errors.ts";
import { Blueprint } from "./agent.ts";
import { RunId, SessionId } from "./identifiers.ts";
import { promptOfParameters } from "./parameters.ts";
import { OutputWanted } from "./run-output.ts";
import { RunType } from "./run.ts";
import { traceFields, Traceparent, Tracestate } from "./trace-context.ts";

/** A run that was assigned to this runner, in one form for both generations (protocol, section 15). */
export interface AssignedRun {
  readonly runId: string;
  readonly sessionId: string;
  readonly type: RunType;
  readonly agentName: string | null;
  /** G1's `prompt`, or what G2's `parameters` say. */
  readonly prompt: string;
  /** G2's parameters; for G1 `{prompt}`. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly projectDir: string | null;
  readonly parentSessionId: string | null;
  /** G2 sends blueprints resolved (null where there is none); G1 never does: undefined. */
  readonly resolvedBlueprint: Blueprint | null | undefined;
  readonly generation: "G1" | "G2";
  /** The trace that the run belongs to (W3C Trace Context), where whoever created it said so. */
  readonly traceparent?: string;
  readonly tracestate?: string;
}

/** What one answer to the poll says. */
export type PollMessage =
  | { readonly kind: "nothing" }
  | { readonly kind: "deregistered" }
  | { readonly kind: "stops"; readonly runIds: readonly string[]; readonly sessionIds: readonly string[] }
  | { readonly kind: "run"; readonly run: AssignedRun }
  /** Somebody wants to see what runs have written. */
  | { readonly kind: "output-wanted"; readonly wanted: readonly OutputWanted[] }
  /** A run that cannot be executed as it is, but can be reported failed. */
  | { readonly kind: "bad-run"; readonly runId: string; readonly sessionId: string | null; readonly fault: string }
  /** A message of a kind that this runner does not serve (G2's script sync). */
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
  // What is no trace context is none: it must not keep a run from being executed.
  traceparent: v.fallback(v.optional(Traceparent), undefined),
  tracestate: v.fallback(v.optional(Tracestate), undefined),
});

const Envelope = v.looseObject({
  run: v.nullish(v.looseObject({ run_id: RunId })),
  stop_runs: v.nullish(v.array(v.string())),
  stop_sessions: v.nullish(v.array(v.string())),
  deregistered: v.nullish(v.boolean()),
  // One that makes no sense is not answered; nothing else is lost with it.
  output_wanted: v.optional(v.fallback(v.nullable(v.array(OutputWanted)), null)),
});

/** Parses the body of a 200 to the poll; null where it is none of its shapes. */
export function parsePollMessage(body: unknown): PollMessage | null {
  const envelope = v.safeParse(Envelope, body);
  // To valibot an array is an object too.
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

/** A run object of the poll, or of `GET /runs` for a claim whose answer was lost. */
export function parseAssignedRun(body: { readonly run_id: string; readonly session_id?: unknown }): PollMessage {
  const parsed = v.safeParse(WireRun, body);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    const fault = `the coordinator sent a run that makes no sense: ${v.getDotPath(issue) ?? "run"}: ${clip(issue.message)}`;
    return {
      kind: "bad-run",
      runId: body.run_id,
      sessionId: typeof body.session_id === "string" ? body.session_id : null,
      fault,
    };
  }
  const run = parsed.output;
  const isG2 = run.parameters != null;
  return {
    kind: "run",
    run: {
      runId: run.run_id,
      sessionId: run.session_id,
      type: run.type,
      // An empty name is how some clients say none.
      agentName: run.agent_name || null,
      prompt: run.prompt ?? promptOfParameters(run.parameters ?? {}),
      parameters: run.parameters ?? { prompt: run.prompt ?? "" },
      projectDir: run.project_dir || null,
      parentSessionId: run.parent_session_id,
      resolvedBlueprint: isG2 ? (run.resolved_agent_blueprint ?? null) : undefined,
      generation: isG2 ? "G2" : "G1",
      ...traceFields(run),
    },
  };
}
