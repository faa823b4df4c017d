import type { VNode } from "preact";
import type * as v from "valibot";
import type { StatsAnswer } from "../../protocol/answers.ts";
import { type Bar, barsOf, OUTCOMES } from "./bars.ts";

const WIDTH = 960;
const HEIGHT = 180;
const GAP_SHARE = 0.2;
const LABELS = 6;

/** Ended runs per hour or day, stacked by status. */
export function HoursChart({
  stats,
  hours,
}: {
  readonly stats: v.InferOutput<typeof StatsAnswer>;
  readonly hours: number;
}): VNode {
  const bars = barsOf(stats.hours, stats.since, hours);
  const highest = Math.max(1, ...bars.map(({ total }) => total));
  const step = WIDTH / bars.length;
  const everyLabel = Math.ceil(bars.length / LABELS);
  return (
    <figure class="chart">
      <figcaption>
        <h2>Runs ended {bars.length > 24 * 4 ? "per day" : "per hour"}</h2>
        <ul class="legend">
          {OUTCOMES.map((outcome) => (
            <li key={outcome}>
              <svg viewBox="0 0 10 10" class="swatch" aria-hidden="true">
                <rect class={`bar-${outcome}`} width="10" height="10" rx="2" />
              </svg>
              {outcome}
            </li>
          ))}
        </ul>
      </figcaption>
      <div class="chart-frame">
        <span class="chart-most" aria-hidden="true">
          {highest.toLocaleString("en")}
        </span>
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={describe(bars)}>
          {bars.map((bar, i) => (
            <g key={bar.from}>
              <title>{`${labelOf(bar)}: ${OUTCOMES.map((outcome) => `${bar[outcome]} ${outcome}`).join(", ")}`}</title>
              {stacked(bar, highest).map(({ outcome, y, height }) => (
                <rect
                  key={outcome}
                  class={`bar-${outcome}`}
                  x={(i + GAP_SHARE / 2) * step}
                  y={y}
                  width={step * (1 - GAP_SHARE)}
                  height={height}
                />
              ))}
            </g>
          ))}
        </svg>
      </div>
      <div class="chart-labels" aria-hidden="true">
        {bars
          .filter((_, i) => i % everyLabel === 0)
          .map((bar) => (
            <span key={bar.from}>{labelOf(bar)}</span>
          ))}
      </div>
    </figure>
  );
}

function stacked(bar: Bar, highest: number): { outcome: (typeof OUTCOMES)[number]; y: number; height: number }[] {
  let y = HEIGHT;
  return OUTCOMES.filter((outcome) => bar[outcome] > 0).map((outcome) => {
    const height = (bar[outcome] / highest) * HEIGHT;
    y -= height;
    return { outcome, y, height };
  });
}

function labelOf({ from, isDay }: Bar): string {
  const at = new Date(from);
  return isDay
    ? at.toLocaleDateString([], { month: "short", day: "numeric" })
    : at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
}

function describe(bars: readonly Bar[]): string {
  const busy = bars.filter(({ total }) => total > 0);
  if (busy.length === 0) return "No runs ended in this period";
  return busy
    .map(
      (bar) =>
        `${labelOf(bar)}: ${OUTCOMES.filter((outcome) => bar[outcome] > 0)
          .map((outcome) => `${bar[outcome]} ${outcome}`)
          .join(", ")}`,
    )
    .join("; ");
}
