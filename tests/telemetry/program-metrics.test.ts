import { expect, test } from "bun:test";
import type { CoordinatorCounts } from "../../src/coordinator/coordinator.ts";
import { ActiveRun } from "../../src/runner/runs/active-run.ts";
import { ProgramMetrics } from "../../src/telemetry/program-metrics.ts";
import { assignedRun } from "../runner/assigned-run.ts";
import { NO_COUNTS } from "./no-counts.ts";

const PROGRAM = { labels: { command: "up", executor: "x" }, startedAtMs: 1_000_000 };

const linesOf = async (metrics: ProgramMetrics): Promise<string[]> =>
  (await (await metrics.answer()).text()).split("\n");

test("ProgramMetrics: a coordinator without a runner serves its own metrics and those of its process", async () => {
  const counts: CoordinatorCounts = {
    ...NO_COUNTS,
    runs: { pending: { time: 1, retry: 2, turn: 3, runner: 4 }, claimed: 5, running: 6, stopping: 7 },
    runners: { online: 8, stale: 9 },
  };
  const seen = await linesOf(
    new ProgramMetrics(PROGRAM, { runner: null, coordinator: { counts: async () => counts } }),
  );
  for (const line of [
    'runs{status="pending"} 10',
    'runs{status="running"} 6',
    'runs_waiting{for="turn"} 3',
    'runners{status="stale"} 9',
    'runs_ended_total{status="failed"} 0',
  ]) {
    expect(seen).toContain(`agent_coordinator_${line}`);
  }
  expect(seen.filter((line) => line.startsWith("agent_runner_")).map((line) => line.split("{")[0])).toEqual([
    "agent_runner_info",
  ]);
  expect(seen).toContain("process_start_time_seconds 1000");
  for (const name of ["process_resident_memory_bytes", "process_cpu_seconds_total"]) {
    expect(Number(seen.find((line) => line.startsWith(`${name} `))?.split(" ")[1])).toBeGreaterThan(0);
  }
});

test("ProgramMetrics: each scrape shows the coordinator's current counts", async () => {
  const ended = { completed: 1, failed: 0, stopped: 0 };
  const metrics = new ProgramMetrics(PROGRAM, {
    runner: null,
    coordinator: { counts: async () => ({ ...NO_COUNTS, ended }) },
  });
  expect(await linesOf(metrics)).toContain('agent_coordinator_runs_ended_total{status="completed"} 1');
  ended.completed++;
  expect(await linesOf(metrics)).toContain('agent_coordinator_runs_ended_total{status="completed"} 2');
});

test("ProgramMetrics: a runner without a coordinator serves no coordinator metrics", async () => {
  const seen = await linesOf(new ProgramMetrics(PROGRAM, { runner: () => null, coordinator: null }));
  expect(seen.filter((line) => line.startsWith("agent_coordinator_"))).toEqual([]);
  expect(seen).toContain('agent_runner_runs_total{outcome="succeeded"} 0');
});

const promtool = Bun.which("promtool");

test.skipIf(promtool === null)("ProgramMetrics: promtool finds no fault", async () => {
  const metrics = new ProgramMetrics(PROGRAM, { runner: () => null, coordinator: { counts: async () => NO_COUNTS } });
  const run = new ActiveRun(assignedRun());
  for (const state of ["starting", "running", "reporting", "ended"] as const) run.moveTo(state);
  metrics.runner?.runEnded(run, { kind: "succeeded" });
  const check = Bun.spawn([promtool ?? "", "check", "metrics"], {
    stdin: Buffer.from((await linesOf(metrics)).join("\n")),
    stdout: "pipe",
    stderr: "pipe",
  });
  const output = (await new Response(check.stdout).text()) + (await new Response(check.stderr).text());
  expect(output).toBe("");
  expect(await check.exited).toBe(0);
});
