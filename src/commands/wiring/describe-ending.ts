import type { Run } from "../../protocol/run.ts";

/** Why a run did not complete, in words; empty if nothing is known. With the note that a lost runner left later. */
export function describeEnding({ reason, error, note }: Pick<Run, "reason" | "error" | "note">): string {
  const lost = reason === "runner_lost" ? "its runner was lost before it reported the end" : "";
  const cause = lost !== "" && error !== null ? `${lost} (${error})` : lost || (error ?? "");
  return [cause, note ?? ""].filter(Boolean).join(". ");
}

/** That events of a run are missing in its session; null if none are. */
export function describeDropped({ events_dropped: count }: Pick<Run, "events_dropped">): string | null {
  if (count === 0) return null;
  return `${count} ${count === 1 ? "event was" : "events were"} left out: beyond the bounds of a run's events`;
}
