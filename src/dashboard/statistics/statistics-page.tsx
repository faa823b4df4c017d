import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type * as v from "valibot";
import { StatsAnswer } from "../../protocol/answers.ts";
import { Choice } from "../parts/choice.tsx";
import { cost, duration } from "../parts/figures.ts";
import { type Services, useQuery } from "../query.ts";
import { HoursChart } from "./hours-chart.tsx";
import { TimesChart } from "./times-chart.tsx";

/** In hours. */
const PERIODS = [
  { value: 24, label: "24 hours" },
  { value: 72, label: "3 days" },
  { value: 336, label: "2 weeks" },
] as const;

/** How runs ended, and how long they waited and ran. */
export function StatisticsPage({ services }: { readonly services: Services }): VNode {
  const [hours, setHours] = useState<(typeof PERIODS)[number]["value"]>(24);
  const { value, fault } = useQuery(services, `/stats?hours=${hours}`, StatsAnswer, {
    everyMs: 60_000,
    isAffectedBy: ({ type }) => type === "run_ended",
  });
  return (
    <>
      <div class="page-head">
        <h1>Statistics</h1>
        <Choice legend="Period" name="period" options={PERIODS} chosen={hours} onChoose={setHours} />
      </div>
      {fault !== null && (
        <p role="alert" class="fault">
          Failed to load the statistics: {fault}
        </p>
      )}
      {value !== null && <Charts stats={value} hours={hours} />}
    </>
  );
}

function Charts({
  stats,
  hours,
}: {
  readonly stats: v.InferOutput<typeof StatsAnswer>;
  readonly hours: number;
}): VNode {
  const sum = (pick: (hour: (typeof stats.hours)[number]) => number): number =>
    stats.hours.reduce((total, hour) => total + pick(hour), 0);
  const [completed, failed, stopped] = [
    sum((hour) => hour.completed),
    sum((hour) => hour.failed),
    sum((hour) => hour.stopped),
  ];
  const ended = completed + failed + stopped;
  return (
    <>
      <dl class="totals">
        <Total name="Runs ended" value={ended.toLocaleString("en")} />
        <Total name="Completed" value={completed.toLocaleString("en")} />
        <Total name="Failed" value={failed.toLocaleString("en")} />
        <Total name="Stopped" value={stopped.toLocaleString("en")} />
        <Total name="Total run time" value={duration(sum((hour) => hour.run_ms))} />
        <Total name="Cost" value={cost(sum((hour) => hour.total_cost_usd)) || "–"} />
      </dl>
      <HoursChart stats={stats} hours={hours} />
      <TimesChart name="Run time" steps={stats.run} />
      <TimesChart name="Wait for a runner" steps={stats.wait} />
    </>
  );
}

function Total({ name, value }: { readonly name: string; readonly value: string }): VNode {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
