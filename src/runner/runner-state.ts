/**
 * The states of a runner:
 * - `starting`: not registered yet; the coordinator may be away
 * - `online`: takes runs
 * - `draining`: takes no more runs, waits for those it has; reached by the first `interrupt()` or by a deregistration from outside
 * - `stopping`: ends the runs it has; reached by the second `interrupt()`, the drain time-out, or a coordinator away for too long
 * - `left`: nothing of it is left but what could not be delivered
 */
export type RunnerState = "starting" | "online" | "draining" | "stopping" | "left";

/** A runner goes this way only. */
export const ORDER_OF_STATES: readonly RunnerState[] = ["starting", "online", "draining", "stopping", "left"];
