import { createHash } from "node:crypto";
import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Tracer,
} from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import {
  defaultResource,
  detectResources,
  envDetector,
  hostDetector,
  resourceFromAttributes,
} from "@opentelemetry/resources";
import {
  BatchSpanProcessor,
  type IdGenerator,
  RandomIdGenerator,
  type SpanExporter,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { withDeadline } from "../async/delay.ts";
import type { TraceSettings } from "../config/trace-settings.ts";
import type { Log } from "../log.ts";
import type { ActiveRun, RunState } from "../runner/runs/active-run.ts";
import { type TraceFields, traceFields } from "../protocol/trace-context.ts";
import { type Outcome, outcomeLabel } from "../runner/runs/outcome.ts";
import { version } from "../version.ts";
import { samplerOf } from "./sampler.ts";

/** A receiver that does not answer must not delay the end of the program for longer. */
const SHUTDOWN_MS = 2_000;

const STEPS: readonly { readonly name: string; readonly from: RunState; readonly to: readonly RunState[] }[] = [
  { name: "wait for turn", from: "queued", to: ["starting", "reporting"] },
  { name: "prepare", from: "starting", to: ["running", "reporting"] },
  { name: "execute", from: "running", to: ["reporting"] },
  { name: "report", from: "reporting", to: ["ended"] },
];

/**
 * One trace per run, or one branch of the trace that the run belongs to: a span for the run, and a child span for
 * each step. The ids of the run's span derive from the run's id. So after a runner is killed, its next process
 * continues the span that the executor has as its parent, without any record.
 */
export class RunSpans implements AsyncDisposable {
  readonly #ids = new RunIds();
  readonly #spans = new WeakMap<ActiveRun, Span>();
  readonly #provider: TracerProvider;
  readonly #tracer: Tracer;
  readonly #log: Log;

  constructor(settings: TraceSettings, log: Log) {
    this.#log = log;
    const resource = defaultResource()
      .merge(resourceFromAttributes({ "service.name": "agent-runner", "service.version": version }))
      .merge(detectResources({ detectors: [hostDetector, envDetector] }));
    this.#provider = new TracerProvider({
      resource,
      idGenerator: this.#ids,
      sampler: samplerOf(settings, log),
      spanProcessors: [new BatchSpanProcessor({ exporter: loggingFailures(new OTLPTraceExporter(), log) })],
    });
    this.#tracer = this.#provider.getTracer("agent-runner", version);
  }

  /** The run's span, as the parent for the executor's spans. */
  traceOf(run: ActiveRun): TraceFields {
    const { traceId, spanId, traceFlags, traceState } = this.#spanOf(run).spanContext();
    const tracestate = traceState?.serialize() || run.assigned.tracestate;
    const traceparent = `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
    return traceFields({ traceparent, tracestate });
  }

  runEnded(run: ActiveRun, { kind }: Outcome): void {
    const span = this.#spanOf(run);
    const inside = trace.setSpan(ROOT_CONTEXT, span);
    for (const { name, from, to } of STEPS) {
      const startTime = run.enteredAtMs(from);
      const endTime = to.map((state) => run.enteredAtMs(state)).find((at) => at !== undefined);
      if (startTime !== undefined && endTime !== undefined)
        this.#tracer.startSpan(name, { startTime }, inside).end(endTime);
    }
    span.setAttribute("agent_runner.run.outcome", outcomeLabel(kind));
    if (kind !== "succeeded" && kind !== "stopped")
      span.setStatus({ code: SpanStatusCode.ERROR, message: outcomeLabel(kind) });
    span.end(run.enteredAtMs("ended"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const sent = await withDeadline(this.#provider.shutdown(), SHUTDOWN_MS).catch(() => undefined);
    if (sent === "timeout") this.#log.warn("Could not send the last traces in time");
  }

  #spanOf(run: ActiveRun): Span {
    const known = this.#spans.get(run);
    if (known !== undefined) return known;
    const startTime = run.enteredAtMs("queued");
    const options = {
      kind: SpanKind.CONSUMER,
      attributes: attributesOf(run),
      ...(startTime === undefined ? {} : { startTime }),
    };
    const span = this.#ids.of(run.runId, () =>
      this.#tracer.startSpan(`run ${run.assigned.type}`, options, parentOf(run)),
    );
    this.#spans.set(run, span);
    return span;
  }
}

function attributesOf({ runId, sessionId, assigned, isAdopted }: ActiveRun): Attributes {
  return {
    "agent_runner.run.id": runId,
    "agent_runner.session.id": sessionId,
    "agent_runner.run.type": assigned.type,
    "agent_runner.run.taken_up": isAdopted,
    ...(assigned.agentName === null ? {} : { "gen_ai.agent.name": assigned.agentName }),
  };
}

/** The trace that the run belongs to, if it carries one. */
function parentOf({ assigned: { traceparent } }: ActiveRun): Context {
  const [, traceId, spanId, flags] = traceparent?.split("-") ?? [];
  if (traceId === undefined || spanId === undefined) return ROOT_CONTEXT;
  const traceFlags = Number.parseInt(flags ?? "0", 16) & TraceFlags.SAMPLED;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}

/** Derives the ids of a run's span from the run's id; all other spans get random ids. */
class RunIds implements IdGenerator {
  readonly #random = new RandomIdGenerator();
  #runId: string | null = null;

  of<T>(runId: string, start: () => T): T {
    this.#runId = runId;
    try {
      return start();
    } finally {
      this.#runId = null;
    }
  }

  generateTraceId(): string {
    return this.#runId === null ? this.#random.generateTraceId() : digest(`trace ${this.#runId}`, 32);
  }

  generateSpanId(): string {
    return this.#runId === null ? this.#random.generateSpanId() : digest(`span ${this.#runId}`, 16);
  }
}

function digest(text: string, length: number): string {
  return createHash("sha256").update(text).digest("hex").slice(0, length);
}

/** Wraps the exporter: logs when spans are lost, and when they are accepted again. */
function loggingFailures(exporter: SpanExporter, log: Log): SpanExporter {
  let isFailing = false;
  return {
    export(spans, onResult) {
      exporter.export(spans, (result) => {
        const hasFailed = result.error !== undefined;
        if (hasFailed && !isFailing) log.warn(`Cannot send traces (${result.error?.message}); runs continue without`);
        if (!hasFailed && isFailing) log.info("Sending traces again");
        isFailing = hasFailed;
        onResult(result);
      });
    },
    forceFlush: async () => exporter.forceFlush?.(),
    shutdown: () => exporter.shutdown(),
  };
}
