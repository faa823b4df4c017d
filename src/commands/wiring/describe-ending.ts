import type { Run } from "../../protocol/run.ts";

/** Why a run did not complete, in words; empty if nothing is known. With the note that a lost runner left later. */
export function describeEnding({ reason, error, note }: Pick<Run, "reason" | "error" | "note">): string {
  const lost = reason === "runner_lost" ? "its runner was lost before it reported the end" : "";
  const cause = lost !== "" && error !== null ? `${lost} (${error})` : lost || (error ?? "");
  return [cause, note ?? ""].filter(Boolean).join(". ");
}
