import type { Demands } from "../../protocol/run.ts";

/** What a runner offers, to be held against a run's demands. */
export interface Offer {
  readonly hostname: string;
  readonly project_dir: string;
  readonly executor_type: string;
  readonly executor_profile: string | null;
  readonly tags: readonly string[];
}

const FIELDS = ["hostname", "project_dir", "executor_type", "executor_profile"] as const;

/** The blueprint's demands with the run's own: what the blueprint says holds, tags are united. Null if nothing is demanded. */
export function mergeDemands(
  blueprint: Demands | null | undefined,
  additional: Demands | null | undefined,
): Demands | null {
  const merged: Demands = {};
  for (const field of FIELDS) {
    const value = blueprint?.[field] ?? additional?.[field];
    if (value) merged[field] = value;
  }
  const tags = [...new Set([...(blueprint?.tags ?? []), ...(additional?.tags ?? [])])];
  if (tags.length === 0 && Object.keys(merged).length === 0) return null;
  return { ...merged, tags };
}

/** Whether a runner may take a run: every demanded field is equal, every demanded tag is there. */
export function satisfies(offer: Offer, demands: Demands | null): boolean {
  if (demands === null) return true;
  if (FIELDS.some((field) => demands[field] && demands[field] !== offer[field])) return false;
  return (demands.tags ?? []).every((tag) => offer.tags.includes(tag));
}
