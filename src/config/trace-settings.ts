import type { Environment } from "./environment.ts";

/**
 * The standard variables that decide which runs are traced. The exporter itself reads the other `OTEL_*` variables:
 * endpoint, headers, attributes, limits.
 */
export interface TraceSettings {
  /** A configured protocol that this program does not support. */
  readonly otherProtocol: string | null;
  readonly sampler: string;
  readonly samplerArgument: string | undefined;
}

/** Null without traces. Requires an endpoint, so that no traces are sent by accident. */
export function traceSettings(env: Environment): TraceSettings | null {
  const isOff =
    env["OTEL_SDK_DISABLED"]?.toLowerCase() === "true" || !["", "otlp"].includes(env["OTEL_TRACES_EXPORTER"] ?? "");
  if (isOff || !(env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] || env["OTEL_EXPORTER_OTLP_ENDPOINT"])) return null;
  const protocol = env["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] || env["OTEL_EXPORTER_OTLP_PROTOCOL"] || "http/json";
  return {
    // Sends http/json for http/protobuf, the usual setting: the OpenTelemetry Collector accepts both at one address.
    otherProtocol: protocol.startsWith("http/") ? null : protocol,
    sampler: env["OTEL_TRACES_SAMPLER"] || "parentbased_always_on",
    samplerArgument: env["OTEL_TRACES_SAMPLER_ARG"] || undefined,
  };
}
