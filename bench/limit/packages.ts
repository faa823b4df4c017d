// The third-party packages in the binary, reduced to the exports that agent-runner uses.
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import { trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { defaultResource, detectResources } from "@opentelemetry/resources";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { defineCommand, runCommand } from "citty";
import { createConsola } from "consola/core";
import { ofetch } from "ofetch";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import * as v from "valibot";

// Named, so that the bundler keeps them.
export const packages = [
  [createMcpHandler, McpServer],
  [trace, OTLPTraceExporter, defaultResource, detectResources, BatchSpanProcessor, TracerProvider],
  [defineCommand, runCommand, createConsola, ofetch, Counter, Gauge, Histogram, Registry, v.object],
];
process.exitCode = packages.length > 0 ? 0 : 1;
