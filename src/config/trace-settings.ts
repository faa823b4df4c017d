import type { Environment } from "./environment.ts";

/**
 * What of the standard variables decides whether and which runs are traced. Where spans are sent, and with which headers, attributes and
 * limits, the exporter reads from the other `OTEL_*` variables itself.
 */
export interface TraceSettings {
  /** A protocol that was asked for and that this program does not speak. */
  readonly otherProtocol: string | null;
  readonly sampler: string;
  readonly samplerArgument: string | undefined;
}

/** Null: no traces. They need an endpoint, so that nobody sends any unawares. */
export function traceSettings(env: Environment): TraceSettings | null {
  const isOff =
    env["OTEL_SDK_DISABLED"]?.toLowerCase() === "true" || !["", "otlp"].includes(env["OTEL_TRACES_EXPORTER"] ?? "");
  if (isOff || !(env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] || env["OTEL_EXPORTER_OTLP_ENDPOINT"])) return null;
  const protocol = env["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] || env["OTEL_EXPORTER_OTLP_PROTOCOL"] || "http/json";
  return {
    // http/protobuf, which most are set to, is sent as http/json: the OpenTelemetry Collector takes both at the same address.
    otherProtocol: protocol.startsWith("http/") ? null : protocol,
    sampler: env["OTEL_TRACES_SAMPLER"] || "parentbased_always_on",
    samplerArgument: env["OTEL_TRACES_SAMPLER_ARG"] || undefined,
  };
}
