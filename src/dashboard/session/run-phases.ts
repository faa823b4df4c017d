import type { Run } from "../../protocol/run.ts";

/** A part of a run's life. Phases follow one another without gaps. */
export interface Phase {
  readonly kind: "scheduled" | "waiting" | "starting" | "running";
  readonly fromMs: number;
  readonly toMs: number;
  /** The phase has not ended: `toMs` is now. */
  readonly isOpen: boolean;
}

type Times = Pick<Run, "status" | "created_at" | "not_before" | "claimed_at" | "started_at" | "completed_at">;

/** The phases of a run up to its end or `nowMs`. Empty if its creation time is unknown. */
export function phasesOf(run: Times, nowMs: number): Phase[] {
  const created = timeOf(run.created_at);
  if (created === null) return [];
  const ended = timeOf(run.completed_at);
  const end = Math.max(created, ended ?? nowMs);
  const [claimed, started] = [timeOf(run.claimed_at), timeOf(run.started_at)];
  const notBefore = timeOf(run.not_before);
  const begins: [Phase["kind"], number | null][] = [
    // A run may be scheduled for a time in the past.
    ["scheduled", notBefore !== null && notBefore > created ? created : null],
    ["waiting", notBefore !== null && notBefore > created ? notBefore : created],
    ["starting", claimed],
    ["running", started],
  ];
  const known = begins.filter((begin): begin is [Phase["kind"], number] => begin[1] !== null && begin[1] <= end);
  return known
    .map(([kind, at], i): Phase => {
      // The runner's clock may be behind the coordinator's.
      const fromMs = Math.max(at, created);
      return {
        kind,
        fromMs,
        toMs: Math.max(fromMs, known[i + 1]?.[1] ?? end),
        isOpen: ended === null && i === known.length - 1,
      };
    })
    .filter(({ fromMs, toMs, isOpen }) => isOpen || toMs > fromMs);
}

function timeOf(text: string | null | undefined): number | null {
  const ms = text == null ? Number.NaN : Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}
