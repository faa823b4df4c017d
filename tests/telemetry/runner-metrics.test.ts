import { expect, test } from "bun:test";
import { Registry } from "prom-client";
import { ActiveRun } from "../../src/runner/runs/active-run.ts";
import type { RunnerStatus } from "../../src/runner/runner-status.ts";
import { RunnerMetrics } from "../../src/telemetry/runner-metrics.ts";
import { assignedRun } from "../runner/assigned-run.ts";

const STATUS: RunnerStatus = {
  state: "online",
  runnerId: "lnch_1",
  isCoordinatorUp: true,
  lastAnswerAtMs: performance.now(),
  lastCallAtMs: null,
  heartbeatIntervalMs: 60_000,
  fault: null,
  runs: [],
};

function metricsOf(status: RunnerStatus | null = STATUS): { metrics: RunnerMetrics; lines: () => Promise<string[]> } {
  const registry = new Registry();
  const metrics = new RunnerMetrics(registry, () => status);
  return { metrics, lines: async () => (await registry.metrics()).split("\n") };
}

function endedRun(): ActiveRun {
  const run = new ActiveRun(assignedRun());
  for (const state of ["starting", "running", "reporting", "ended"] as const) run.moveTo(state);
  return run;
}

test("RunnerMetrics: counts an ended run by its outcome, and in all three histograms", async () => {
  const { metrics, lines } = metricsOf();
  metrics.runEnded(endedRun(), { kind: "failed", error: "no" });
  const seen = await lines();
  expect(seen).toContain('agent_runner_runs_total{outcome="failed"} 1');
  expect(seen).toContain('agent_runner_runs_total{outcome="succeeded"} 0');
  expect(seen).toContain("agent_runner_run_start_delay_seconds_count 1");
  expect(seen).toContain('agent_runner_run_duration_seconds_count{outcome="failed"} 1');
  expect(seen).toContain("agent_runner_report_delay_seconds_count 1");
});

test("RunnerMetrics: the label of a revoked claim is that of version 0.1.0", async () => {
  const { metrics, lines } = metricsOf();
  metrics.runEnded(endedRun(), { kind: "claim-revoked", reason: "409" });
  expect(await lines()).toContain('agent_runner_runs_total{outcome="claim-lost"} 1');
});

test("RunnerMetrics: counts an adopted run, but in no histogram: its times are unknown", async () => {
  const { metrics, lines } = metricsOf();
  const run = endedRun();
  run.isAdopted = true;
  metrics.runEnded(run, { kind: "succeeded" });
  const seen = await lines();
  expect(seen).toContain('agent_runner_runs_total{outcome="succeeded"} 1');
  expect(seen).toContain("agent_runner_run_start_delay_seconds_count 0");
  expect(seen).toContain("agent_runner_report_delay_seconds_count 0");
});

test("RunnerMetrics: a run that was never started has no duration", async () => {
  const { metrics, lines } = metricsOf();
  const run = new ActiveRun(assignedRun());
  run.moveTo("reporting");
  run.moveTo("ended");
  metrics.runEnded(run, { kind: "not-started", error: "no" });
  const seen = await lines();
  expect(seen.filter((line) => line.startsWith("agent_runner_run_duration_seconds_count"))).toEqual([]);
  expect(seen).toContain("agent_runner_report_delay_seconds_count 1");
});

test("RunnerMetrics: gauges show the current status", async () => {
  const running = new ActiveRun(assignedRun());
  running.moveTo("starting");
  running.moveTo("running");
  const reporting = new ActiveRun(assignedRun({ runId: "run_2" }));
  reporting.moveTo("reporting");
  const { lines } = metricsOf({
    ...STATUS,
    isCoordinatorUp: false,
    runnerId: null,
    fault: "no room",
    runs: [running, reporting],
  });
  const seen = await lines();
  expect(seen).toContain('agent_runner_runs_in_flight{state="running"} 1');
  expect(seen).toContain('agent_runner_runs_in_flight{state="queued"} 0');
  expect(seen).toContain("agent_runner_outbox_depth 1");
  expect(seen).toContain("agent_runner_coordinator_up 0");
  expect(seen).toContain("agent_runner_registered 0");
  expect(seen).toContain("agent_runner_room 0");
});

test("RunnerMetrics: counts failed heartbeats and ended leftovers", async () => {
  const { metrics, lines } = metricsOf();
  metrics.heartbeatFailed();
  metrics.leftoversEnded(3);
  const seen = await lines();
  expect(seen).toContain("agent_runner_heartbeat_failures_total 1");
  expect(seen).toContain("agent_runner_reaped_processes_total 3");
});
