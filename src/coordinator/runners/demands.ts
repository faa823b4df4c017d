import { posix } from "node:path";
import type { Demands } from "../../protocol/run.ts";

/** The properties of a runner that demands are compared with. */
export interface Offer {
  readonly hostname: string;
  readonly project_dir: string;
  readonly executor_type: string;
  readonly executor_profile: string | null;
  readonly tags: readonly string[];
  /** 1: takes only runs that demand one of its tags. */
  readonly require_matching_tags: number;
  readonly generation: "first" | "second";
}

const FIELDS = ["hostname", "project_dir", "executor_type", "executor_profile"] as const;

/** Merges the demands of blueprint and run: the blueprint's fields win, the tags are united. Null: no demands. */
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

/** A folder is the same with `/` at its end and with `.` or `..` inside. */
function isSame(field: (typeof FIELDS)[number], demanded: string, offered: string | null): boolean {
  // The second generation demands a kind of executor. This coordinator serves no other.
  if (field === "executor_type" && demanded === "autonomous") return true;
  if (field !== "project_dir" || offered === null) return demanded === offered;
  return posix.resolve("/", demanded) === posix.resolve("/", offered);
}

/** The field in which `demands` name something else than `bounds`; null if there is none. */
export function conflictOf(bounds: Demands, demands: Demands | null): (typeof FIELDS)[number] | null {
  return (
    FIELDS.find((field) => bounds[field] && demands?.[field] && !isSame(field, bounds[field], demands[field])) ?? null
  );
}

/** Whether a runner may claim a run: every demanded field is equal, and the runner has every demanded tag. */
export function satisfies(offer: Offer, demands: Demands | null): boolean {
  if (offer.require_matching_tags === 1 && !(demands?.tags ?? []).some((tag) => offer.tags.includes(tag))) return false;
  if (demands === null) return true;
  if (FIELDS.some((field) => demands[field] && !isSame(field, demands[field], offer[field]))) return false;
  return (demands.tags ?? []).every((tag) => offer.tags.includes(tag));
}
