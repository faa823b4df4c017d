import { readdirSync } from "node:fs";
import { Counter, Gauge, type Registry } from "prom-client";
import { commit, version } from "../version.ts";

export interface Program {
  readonly labels: { readonly command: string; readonly executor: string };
  readonly startedAtMs: number;
}

/**
 * Adds version labels, and process metrics under their standard names. Does not use prom-client's default metrics:
 * under Bun most of them are empty or wrong (heap spaces, handles). They also sample the event loop, which would wake
 * an idle runner a hundred times a second.
 */
export function addProcessMetrics(registry: Registry, { labels, startedAtMs }: Program): void {
  const info = new Gauge({
    name: "agent_runner_info",
    help: "Always 1; the labels describe the program.",
    labelNames: ["version", "commit", "command", "executor"],
    registers: [registry],
  });
  info.set({ version, commit, ...labels }, 1);
  const started = new Gauge({
    name: "process_start_time_seconds",
    help: "Start time of the process, in seconds since the epoch.",
    registers: [registry],
  });
  started.set(Math.floor(startedAtMs / 1000));
  registry.registerMetric(
    new Gauge({
      name: "process_resident_memory_bytes",
      help: "Resident memory in bytes.",
      registers: [],
      collect() {
        this.set(process.memoryUsage.rss());
      },
    }),
  );
  let countedSeconds = 0;
  registry.registerMetric(
    new Counter({
      name: "process_cpu_seconds_total",
      help: "User and system processor time in seconds.",
      registers: [],
      collect() {
        const { user, system } = process.cpuUsage();
        const seconds = (user + system) / 1e6;
        this.inc(Math.max(0, seconds - countedSeconds));
        countedSeconds = Math.max(countedSeconds, seconds);
      },
    }),
  );
  if (process.platform !== "linux") return;
  registry.registerMetric(
    new Gauge({
      name: "process_open_fds",
      help: "Open file descriptors.",
      registers: [],
      collect() {
        // Reading the folder opens one descriptor.
        this.set(readdirSync("/proc/self/fd").length - 1);
      },
    }),
  );
}
