import { expect, test } from "bun:test";
import { silentLog } from "../../src/log.ts";
import { ActiveRun } from "../../src/runner/runs/active-run.ts";
import { RunSpans } from "../../src/telemetry/run-spans.ts";
import { assignedRun } from "../runner/assigned-run.ts";

const SETTINGS = { otherProtocol: null, sampler: "parentbased_always_on", samplerArgument: undefined };

function parentOf(
  assigned: Parameters<typeof assignedRun>[0],
  settings: ConstructorParameters<typeof RunSpans>[0] = SETTINGS,
): string {
  const spans = new RunSpans(settings, silentLog);
  return spans.traceOf(new ActiveRun(assignedRun(assigned))).traceparent ?? "";
}

test("RunSpans: a run without a trace gets its own, which the runner's next process continues", () => {
  const parent = parentOf({ runId: "run_a" });
  expect(parent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  expect(parentOf({ runId: "run_a" })).toBe(parent);
  expect(parentOf({ runId: "run_b" })).not.toBe(parent);
});

test("RunSpans: a run with a trace becomes a span of that trace, sampled as its creator decided", () => {
  const traceId = "ab".repeat(16);
  const sampled = parentOf({ traceparent: `00-${traceId}-${"cd".repeat(8)}-01` });
  expect(sampled).toStartWith(`00-${traceId}-`);
  expect(sampled).toEndWith("-01");
  expect(sampled).not.toContain("cd".repeat(8));
  expect(parentOf({ traceparent: `00-${traceId}-${"cd".repeat(8)}-00` })).toEndWith("-00");
});

test("RunSpans: passes on the tracestate", () => {
  const spans = new RunSpans(SETTINGS, silentLog);
  const run = new ActiveRun(
    assignedRun({ traceparent: `00-${"ab".repeat(16)}-${"cd".repeat(8)}-01`, tracestate: "vendor=1" }),
  );
  expect(spans.traceOf(run).tracestate).toBe("vendor=1");
});

test.each([
  ["always_off", undefined, "-00"],
  ["parentbased_always_off", undefined, "-00"],
  ["traceidratio", "0", "-00"],
  ["traceidratio", "1", "-01"],
  ["parentbased_traceidratio", "0", "-00"],
  ["no such sampler", undefined, "-01"],
  ["traceidratio", "seven", "-01"],
])("RunSpans: samples by OTEL_TRACES_SAMPLER=%s with argument %s", (sampler, samplerArgument, ending) => {
  expect(parentOf({}, { otherProtocol: null, sampler, samplerArgument })).toEndWith(ending);
});
