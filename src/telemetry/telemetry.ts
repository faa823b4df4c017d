import type { TraceSettings } from "../config/trace-settings.ts";
import type { Address } from "../config/values.ts";
import type { CoordinatorCounts } from "../coordinator/coordinator.ts";
import type { Log } from "../log.ts";
import { isLoopback } from "../protocol/loopback.ts";
import { type RunnerObserver, unobserved } from "../runner/runs/observer.ts";
import type { RunnerStatus } from "../runner/runner-status.ts";
import type { RunnerMetrics } from "./runner-metrics.ts";
import type { RunSpans } from "./run-spans.ts";
import { type Identity, statusOf } from "./status.ts";

export interface TelemetryOptions {
  /** The address that serves metrics; undefined: none. */
  readonly metrics: Address | undefined;
  /** Null: no traces. */
  readonly traces: TraceSettings | null;
  readonly identity: Identity;
  /** The coordinator in this program; null without one. */
  readonly coordinator: { counts(): Promise<CoordinatorCounts> } | null;
  readonly log: Log;
}

export interface Telemetry extends AsyncDisposable {
  readonly observer: RunnerObserver;
  /** The URL of the metrics server; null without one. */
  readonly url: string | null;
  /** Shows the status of this runner from now on. */
  show(runner: { status(): RunnerStatus }): void;
}

const NO_TELEMETRY: Telemetry = { observer: unobserved, url: null, show() {}, async [Symbol.asyncDispose]() {} };

/**
 * Serves metrics and sends traces, each only if configured; otherwise its code is not even loaded. Throws a UserError
 * if it cannot.
 */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const { metrics: address, traces, log } = options;
  if (address === undefined && traces === null) return NO_TELEMETRY;
  let runner: { status(): RunnerStatus } | null = null;
  const status = (): RunnerStatus | null => runner?.status() ?? null;
  const served = address === undefined ? null : await serve(address, status, options);
  const spans = traces === null ? null : await startSpans(traces, log);
  return {
    observer: observe(served?.metrics ?? null, spans),
    url: served?.url ?? null,
    show: (shown) => void (runner = shown),
    async [Symbol.asyncDispose]() {
      await spans?.[Symbol.asyncDispose]();
      await served?.server.stop(true);
    },
  };
}

async function serve(
  address: Address,
  status: () => RunnerStatus | null,
  { identity, coordinator, log }: TelemetryOptions,
) {
  const [{ ProgramMetrics }, { serveObservation }] = await Promise.all([
    import("./program-metrics.ts"),
    import("./observation-server.ts"),
  ]);
  const startedAtMs = performance.timeOrigin;
  const labels = { command: identity.command, executor: identity.executor ?? "" };
  const metrics = new ProgramMetrics(
    { labels, startedAtMs },
    { runner: identity.command === "coordinator" ? null : status, coordinator },
  );
  const server = serveObservation({
    address,
    status: () => statusOf(identity, status(), startedAtMs),
    metrics: () => metrics.answer(),
  });
  const url = `http://${address.host.includes(":") ? `[${address.host}]` : address.host}:${server.port}`;
  log.info(`Metrics at ${url}/metrics`);
  if (!isLoopback(address.host))
    log.warn(
      "Metrics and status can be read by everyone who reaches that address; they hold no prompts and no credentials",
    );
  return { metrics: metrics.runner, server, url };
}

async function startSpans(settings: TraceSettings, log: Log): Promise<RunSpans> {
  if (settings.otherProtocol !== null)
    log.warn(`Sending traces as http/json; ${settings.otherProtocol} is not supported`);
  const { RunSpans } = await import("./run-spans.ts");
  return new RunSpans(settings, log.scope("telemetry"));
}

function observe(metrics: RunnerMetrics | null, spans: RunSpans | null): RunnerObserver {
  return {
    traceOf: (run) => (spans ?? unobserved).traceOf(run),
    runEnded(run, outcome) {
      metrics?.runEnded(run, outcome);
      spans?.runEnded(run, outcome);
    },
    heartbeatFailed: () => metrics?.heartbeatFailed(),
    leftoversEnded: (count) => metrics?.leftoversEnded(count),
  };
}
