import type * as v from "valibot";
import type { RunAnswer, TreesAnswer } from "../../protocol/answers.ts";
import { counted, duration } from "../parts/figures.ts";

export type Tree = v.InferOutput<typeof TreesAnswer>["trees"][number];
type ShownRun = v.InferOutput<typeof RunAnswer>;

/** The input of the overview; each list is newest first. */
export interface Overview {
  readonly trees: readonly Tree[];
  /** All runs that have not ended, and the most recent failed runs. */
  readonly runs: readonly ShownRun[];
}

export type Concern =
  | {
      readonly kind: "failed";
      readonly tree: Tree;
      readonly error: string | null;
      readonly reason: string | null;
      readonly run: ShownRun | null;
    }
  | { readonly kind: "stalled"; readonly tree: Tree; readonly silentMs: number }
  | { readonly kind: "no-runner"; readonly run: ShownRun; readonly waitedMs: number };

export interface Groups {
  readonly attention: readonly Concern[];
  readonly running: readonly Tree[];
  readonly waiting: readonly Tree[];
  readonly done: readonly Tree[];
}

/** A failure needs attention for this long, then counts as done. */
const FAILED_MS = 3 * 86_400_000;
/** An agent that sends no event for this long may hang. */
const STALLED_MS = 10 * 60_000;
/** A free runner claims a run at once. */
const UNCLAIMED_MS = 15_000;

/** Groups trees by what they need from a person. */
export function groupsOf({ trees, runs }: Overview, nowMs: number): Groups {
  const groups = { attention: [] as Concern[], running: [] as Tree[], waiting: [] as Tree[], done: [] as Tree[] };
  const unclaimed = runs.filter(
    (run) => run.status === "pending" && run.waiting_for === "runner" && waitedMs(run, nowMs) > UNCLAIMED_MS,
  );
  for (const run of unclaimed) groups.attention.push({ kind: "no-runner", run, waitedMs: waitedMs(run, nowMs) });
  for (const tree of trees) {
    // Shown already, as an unclaimed run.
    if (unclaimed.some(({ session_id }) => session_id === tree.session_id)) continue;
    const concern = concernOf(tree, runs, nowMs);
    if (concern !== null) groups.attention.push(concern);
    else if (tree.status === "running" || tree.status === "stopping") groups.running.push(tree);
    else if (tree.status === "pending" || isWaiting(tree)) groups.waiting.push(tree);
    else groups.done.push(tree);
  }
  return groups;
}

function concernOf(tree: Tree, runs: readonly ShownRun[], nowMs: number): Concern | null {
  if (tree.status === "failed") {
    const run = runs.find(({ session_id, status }) => session_id === tree.session_id && status === "failed") ?? null;
    const at = Date.parse(run?.completed_at ?? tree.last_event?.timestamp ?? tree.last_resumed_at ?? tree.created_at);
    return nowMs - at > FAILED_MS
      ? null
      : { kind: "failed", tree, error: run?.error ?? null, reason: run?.reason ?? null, run };
  }
  const silentMs = silenceOf(tree, runs, nowMs);
  return silentMs > STALLED_MS ? { kind: "stalled", tree, silentMs } : null;
}

/** Time since a running session's last sign of life. 0 if descendants are active: the session may wait for them. */
function silenceOf(tree: Tree, runs: readonly ShownRun[], nowMs: number): number {
  if (tree.status !== "running" || openDescendants(tree) > 0) return 0;
  const started = runs.find(
    ({ session_id, status }) => session_id === tree.session_id && status === "running",
  )?.started_at;
  const signs = [tree.last_event?.timestamp, tree.last_resumed_at, started, tree.created_at].map((time) =>
    Date.parse(time ?? ""),
  );
  return nowMs - Math.max(...signs.filter((ms) => !Number.isNaN(ms)));
}

function waitedMs({ created_at, not_before }: ShownRun, nowMs: number): number {
  return nowMs - Math.max(Date.parse(created_at), not_before === null ? 0 : Date.parse(not_before));
}

export function descendants(tree: Tree): number {
  return tree.roll_up.sessions - 1;
}

/** Descendants that are pending, running or stopping. */
export function openDescendants(tree: Tree): number {
  return openIn(tree) - (isOpen(tree.status) ? 1 : 0);
}

/** Sessions of a tree that are pending, running or stopping. */
export function openIn({ roll_up: { by_status } }: Pick<Tree, "roll_up">): number {
  return (by_status["pending"] ?? 0) + (by_status["running"] ?? 0) + (by_status["stopping"] ?? 0);
}

/** Whether the root session's turn has ended and descendants are still active. */
export function isWaiting(tree: Tree): boolean {
  return !isOpen(tree.status) && openDescendants(tree) > 0;
}

function isOpen(status: string): boolean {
  return status === "pending" || status === "running" || status === "stopping";
}

/** How long the root session of a tree has been running. */
export function runningFor(tree: Tree, runs: readonly ShownRun[], nowMs: number): string | undefined {
  const started = runs.find(
    ({ session_id, status }) => session_id === tree.session_id && (status === "running" || status === "stopping"),
  )?.started_at;
  return started == null ? undefined : `for ${duration(nowMs - Date.parse(started))}`;
}

/** Why a tree waits. Stands after the status word, "waiting" or "pending". */
export function waitReason(tree: Tree, runs: readonly ShownRun[]): string {
  if (tree.status !== "pending") return `for ${openDescendants(tree)} of ${counted(descendants(tree), "descendant")}`;
  const run = runs.find(({ session_id, status }) => session_id === tree.session_id && status === "pending");
  switch (run?.waiting_for) {
    case "time":
      return `scheduled for ${shortTime(run.not_before)}`;
    case "retry":
      return `waits for attempt ${run.attempt} of ${run.max_attempts}`;
    case "turn":
      return "waits for its turn in the session";
    case "runner":
      return "waits for a runner";
    default:
      return "waits to start";
  }
}

function shortTime(time: string | null): string {
  return new Date(time ?? "").toLocaleString([], { dateStyle: "short", timeStyle: "short" });
}
