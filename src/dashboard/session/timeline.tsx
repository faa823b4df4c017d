import type { VNode } from "preact";
import type { Run } from "../../protocol/run.ts";
import { duration } from "../parts/figures.ts";
import { type Phase, phasesOf } from "./run-phases.ts";

const NAMES: Record<Phase["kind"], string> = {
  scheduled: "Scheduled",
  waiting: "Waiting",
  starting: "Starting",
  running: "Running",
};
const WIDTH = 1_000;
const HEIGHT = 14;
/** Keeps very short phases visible. */
const MIN_WIDTH = 8;

/** The time of a run by phase, as a bar and as text. */
export function Timeline({ run, nowMs }: { readonly run: Run; readonly nowMs: number }): VNode | null {
  const phases = phasesOf(run, nowMs);
  if (phases.length === 0) return null;
  const texts = phases.map(
    (phase) =>
      `${NAMES[phase.kind].toLowerCase()} ${duration(phase.toMs - phase.fromMs)}${phase.isOpen ? " so far" : ""}`,
  );
  return (
    <figure class="timeline">
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Time by phase: ${texts.join(", ")}`}
      >
        {placesOf(phases).map(({ phase, x, width }) => (
          <rect key={phase.kind} class={`phase phase-${phase.kind}`} x={x} y={0} width={width} height={HEIGHT} />
        ))}
      </svg>
      <figcaption>
        <ul class="timeline-legend">
          {phases.map((phase) => (
            <li key={phase.kind}>
              <svg viewBox="0 0 10 10" class="swatch" aria-hidden="true">
                <rect class={`phase phase-${phase.kind}`} width="10" height="10" rx="2" />
              </svg>
              {NAMES[phase.kind]} {duration(phase.toMs - phase.fromMs)}
              {phase.isOpen && " so far"}
            </li>
          ))}
        </ul>
      </figcaption>
    </figure>
  );
}

function placesOf(phases: readonly Phase[]): { phase: Phase; x: number; width: number }[] {
  const total = phases.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0);
  const wanted = phases.map(({ fromMs, toMs }) =>
    Math.max(MIN_WIDTH, total === 0 ? WIDTH : ((toMs - fromMs) / total) * WIDTH),
  );
  const scale = WIDTH / wanted.reduce((sum, width) => sum + width, 0);
  let x = 0;
  return phases.map((phase, i) => {
    const width = (wanted[i] ?? 0) * scale;
    const place = { phase, x, width };
    x += width;
    return place;
  });
}
