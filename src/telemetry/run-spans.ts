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
import type { Outcome } from "../runner/runs/outcome.ts";
import { version } from "../version.ts";
import { samplerOf } from "./sampler.ts";

/** A receiver that does not answer must not hold up a program that has left. */
const LAST_SPANS_MS = 2_000;

const STEPS: readonly { readonly name: string; readonly from: RunState; readonly to: readonly RunState[] }[] = [
  { name: "wait for turn", from: "queued", to: ["starting", "reporting"] },
  { name: "prepare", from: "starting", to: ["running", "reporting"] },
  { name: "execute", from: "running", to: ["reporting"] },
  { name: "report", from: "reporting", to: ["ended"] },
];

/**
 * One trace a run, or one branch of the trace that the run belongs to: a span for the run and one for each step of it. The ids of the
 * run's span are made from the run's own id, so that the next start of a runner that was killed goes on with the span that the executor
 * was told of, and nothing has to be remembered for that.
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
      spanProcessors: [new BatchSpanProcessor({ exporter: telling(new OTLPTraceExporter(), log) })],
    });
    this.#tracer = this.#provider.getTracer("agent-runner", version);
  }

  /** The run's own span, as the parent of what comes of it. */
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
    span.setAttribute("agent_runner.run.outcome", kind);
    if (kind !== "succeeded" && kind !== "stopped") span.setStatus({ code: SpanStatusCode.ERROR, message: kind });
    span.end(run.enteredAtMs("ended"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const sent = await withDeadline(this.#provider.shutdown(), LAST_SPANS_MS).catch(() => undefined);
    if (sent === "timeout") this.#log.warn("The last traces could not be sent in time");
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

function attributesOf({ runId, sessionId, assigned, isTakenUp }: ActiveRun): Attributes {
  return {
    "agent_runner.run.id": runId,
    "agent_runner.session.id": sessionId,
    "agent_runner.run.type": assigned.type,
    "agent_runner.run.taken_up": isTakenUp,
    ...(assigned.agentName === null ? {} : { "gen_ai.agent.name": assigned.agentName }),
  };
}

/** Where the run carries a trace, its span is part of that. */
function parentOf({ assigned: { traceparent } }: ActiveRun): Context {
  const [, traceId, spanId, flags] = traceparent?.split("-") ?? [];
  if (traceId === undefined || spanId === undefined) return ROOT_CONTEXT;
  const traceFlags = Number.parseInt(flags ?? "0", 16) & TraceFlags.SAMPLED;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}

/** Ids for the span of a run from the run's id; any for all other spans. */
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

/** The exporter, with one line when spans are lost and one when they are taken again. */
function telling(exporter: SpanExporter, log: Log): SpanExporter {
  let isFailing = false;
  return {
    export(spans, onResult) {
      exporter.export(spans, (result) => {
        const hasFailed = result.error !== undefined;
        if (hasFailed && !isFailing) log.warn(`Traces cannot be sent (${result.error?.message}); runs go on without`);
        if (!hasFailed && isFailing) log.info("Traces are sent again");
        isFailing = hasFailed;
        onResult(result);
      });
    },
    forceFlush: async () => exporter.forceFlush?.(),
    shutdown: () => exporter.shutdown(),
  };
}
