/**
 * The states of a runner:
 * - `starting`: not registered yet; the coordinator may be away
 * - `online`: takes runs
 * - `draining`: takes no more runs, and waits for the runs that it has. Follows the first `interrupt()` or a
 *   deregistration from outside.
 * - `stopping`: stops its runs. Follows the second `interrupt()`, the drain time-out, or a long outage.
 * - `left`: has ended; only reports that could not be delivered are left
 */
export type RunnerState = "starting" | "online" | "draining" | "stopping" | "left";

/** A runner moves to a later state only, and may skip states. */
export const ORDER_OF_STATES: readonly RunnerState[] = ["starting", "online", "draining", "stopping", "left"];
