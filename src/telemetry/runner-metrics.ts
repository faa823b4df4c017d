import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { ActiveRun, RunState } from "../runner/runs/active-run.ts";
import { type Outcome, outcomeLabel } from "../runner/runs/outcome.ts";
import type { RunnerStatus } from "../runner/runner-status.ts";

const OUTCOMES: readonly Outcome["kind"][] = [
  "succeeded",
  "failed",
  "timed-out",
  "stopped",
  "not-started",
  "vanished",
  "cannot-run",
  "given-back",
  "claim-revoked",
];
const STATES_IN_FLIGHT: readonly RunState[] = ["queued", "starting", "running", "reporting"];

/** Upper bounds in seconds, for delays of this program and for the work of agents. */
const DELAY_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const DURATION_BUCKETS = [0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400, 28_800];

/** The metrics of a runner: counters and histograms of events, and gauges read from its status at each scrape. */
export class RunnerMetrics {
  readonly #runs: Counter<"outcome">;
  readonly #startDelay: Histogram;
  readonly #duration: Histogram<"outcome">;
  readonly #reportDelay: Histogram;
  readonly #heartbeatFailures: Counter;
  readonly #leftovers: Counter;

  /** `status` returns null until the runner exists. */
  constructor(registry: Registry, status: () => RunnerStatus | null) {
    const registers = [registry];
    this.#runs = new Counter({
      name: "agent_runner_runs_total",
      help: "Runs that have ended, by outcome.",
      labelNames: ["outcome"],
      registers,
    });
    // Exposes zeros from the first scrape, so that the first failure is an increase.
    for (const outcome of OUTCOMES) this.#runs.inc({ outcome: outcomeLabel(outcome) }, 0);
    this.#startDelay = new Histogram({
      name: "agent_runner_run_start_delay_seconds",
      help: "Seconds from the claim of a run to the start of its executor. No histogram contains adopted runs.",
      buckets: DELAY_BUCKETS,
      registers,
    });
    this.#duration = new Histogram({
      name: "agent_runner_run_duration_seconds",
      help: "Seconds from the start of a run's executor to its end.",
      labelNames: ["outcome"],
      buckets: DURATION_BUCKETS,
      registers,
    });
    this.#reportDelay = new Histogram({
      name: "agent_runner_report_delay_seconds",
      help: "Seconds from the end of a run's executor to the acknowledgement of its report.",
      buckets: DELAY_BUCKETS,
      registers,
    });
    this.#heartbeatFailures = new Counter({
      name: "agent_runner_heartbeat_failures_total",
      help: "Heartbeats that the coordinator did not accept.",
      registers,
    });
    this.#leftovers = new Counter({
      name: "agent_runner_reaped_processes_total",
      help: "Leftovers of runs that were ended.",
      registers,
    });
    addStatusGauges(registry, status);
  }

  runEnded(run: ActiveRun, { kind }: Outcome): void {
    const outcome = outcomeLabel(kind);
    this.#runs.inc({ outcome });
    if (run.isAdopted) return;
    const [claimed, started, ended, reported] = (["queued", "running", "reporting", "ended"] as const).map((state) =>
      run.enteredAtMs(state),
    );
    if (claimed !== undefined && started !== undefined) this.#startDelay.observe((started - claimed) / 1000);
    if (started !== undefined && ended !== undefined) this.#duration.observe({ outcome }, (ended - started) / 1000);
    if (ended !== undefined && reported !== undefined) this.#reportDelay.observe((reported - ended) / 1000);
  }

  heartbeatFailed(): void {
    this.#heartbeatFailures.inc();
  }

  leftoversEnded(count: number): void {
    this.#leftovers.inc(count);
  }
}

function addStatusGauges(registry: Registry, status: () => RunnerStatus | null): void {
  const gauge = (name: string, help: string, read: (status: RunnerStatus) => number): void => {
    const collect = function (this: Gauge): void {
      const now = status();
      if (now !== null) this.set(read(now));
    };
    registry.registerMetric(new Gauge({ name, help, registers: [], collect }));
  };
  const inFlight = new Gauge({
    name: "agent_runner_runs_in_flight",
    help: "Runs that have not ended, by state.",
    labelNames: ["state"],
    registers: [],
    collect() {
      for (const state of STATES_IN_FLIGHT) this.set({ state }, countOf(status(), state));
    },
  });
  registry.registerMetric(inFlight);
  gauge("agent_runner_outbox_depth", "Runs whose report the coordinator has not acknowledged.", (now) =>
    countOf(now, "reporting"),
  );
  gauge("agent_runner_online", "1 while the runner takes runs (state online).", ({ state }) =>
    Number(state === "online"),
  );
  gauge("agent_runner_registered", "1 while the runner is registered, as far as it knows.", ({ runnerId }) =>
    Number(runnerId !== null),
  );
  gauge("agent_runner_coordinator_up", "1 while the coordinator answers.", ({ isCoordinatorUp }) =>
    Number(isCoordinatorUp),
  );
  gauge(
    "agent_runner_coordinator_last_answer_age_seconds",
    "Seconds since the coordinator's last answer, or since the start of this program.",
    ({ lastAnswerAtMs }) => (performance.now() - (lastAnswerAtMs ?? 0)) / 1000,
  );
  gauge(
    "agent_runner_room",
    "0 while the machine has no room for more runs, or cannot run the executor.",
    ({ fault }) => Number(fault === null),
  );
}

function countOf(status: RunnerStatus | null, state: RunState): number {
  return status?.runs.filter((run) => run.state === state).length ?? 0;
}
