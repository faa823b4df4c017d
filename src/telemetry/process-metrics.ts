import { readdirSync } from "node:fs";
import { Counter, Gauge, type Registry } from "prom-client";
import { commit, version } from "../version.ts";

export interface Program {
  readonly labels: { readonly command: string; readonly executor: string };
  readonly startedAtMs: number;
}

/**
 * What runs, and the process's own figures under the names that every dashboard knows. prom-client's default set is not taken: under Bun most of it is
 * empty or wrong (heap spaces, handles), and its look at the event loop would wake an idle runner a hundred times a second.
 */
export function addProcessMetrics(registry: Registry, { labels, startedAtMs }: Program): void {
  const info = new Gauge({
    name: "agent_runner_info",
    help: "Always 1; what runs is in the labels.",
    labelNames: ["version", "commit", "command", "executor"],
    registers: [registry],
  });
  info.set({ version, commit, ...labels }, 1);
  const started = new Gauge({
    name: "process_start_time_seconds",
    help: "Start of the process, seconds since the epoch.",
    registers: [registry],
  });
  started.set(Math.floor(startedAtMs / 1000));
  registry.registerMetric(
    new Gauge({
      name: "process_resident_memory_bytes",
      help: "Resident memory.",
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
      help: "Processor time, user and system.",
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
        // The look itself opens one.
        this.set(readdirSync("/proc/self/fd").length - 1);
      },
    }),
  );
}
