import { expect, test } from "bun:test";
import { traceSettings } from "../../src/config/trace-settings.ts";

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" };

test.each([
  ["nothing is set", {}],
  ["the endpoint is empty", { OTEL_EXPORTER_OTLP_ENDPOINT: "" }],
  ["the SDK is disabled", { ...ENDPOINT, OTEL_SDK_DISABLED: "TRUE" }],
  ["the exporter is none", { ...ENDPOINT, OTEL_TRACES_EXPORTER: "none" }],
  ["the exporter is another", { ...ENDPOINT, OTEL_TRACES_EXPORTER: "console" }],
])("traceSettings: no traces if %s", (_, env) => {
  expect(traceSettings(env)).toBeNull();
});

test.each([
  ["an endpoint", ENDPOINT, { otherProtocol: null, sampler: "parentbased_always_on", samplerArgument: undefined }],
  [
    "an endpoint of traces alone",
    { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://c/t", OTEL_TRACES_EXPORTER: "otlp" },
    { otherProtocol: null },
  ],
  [
    "http/protobuf, at the same address",
    { ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf" },
    { otherProtocol: null },
  ],
  ["grpc, which is not spoken", { ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }, { otherProtocol: "grpc" }],
  [
    "a sampler",
    { ...ENDPOINT, OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "0.5" },
    { sampler: "traceidratio", samplerArgument: "0.5" },
  ],
])("traceSettings: %s", (_, env, settings) => {
  expect(traceSettings(env)).toMatchObject(settings);
});
