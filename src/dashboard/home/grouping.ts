import type * as v from "valibot";
import type { RunAnswer, TreesAnswer } from "../../protocol/answers.ts";
import { duration } from "../parts/figures.ts";

export type Tree = v.InferOutput<typeof TreesAnswer>["trees"][number];
type ShownRun = v.InferOutput<typeof RunAnswer>;

/** What the overview is made of; each list newest first. */
export interface Overview {
  readonly trees: readonly Tree[];
  /** All runs that are open, and those that failed last. */
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

/** A failure is news for so long; then it is among what is done. */
const NEWS_MS = 3 * 86_400_000;
/** An agent that has told nothing for so long may hang. */
const STALLED_MS = 10 * 60_000;
/** A runner that is there takes a run at once. */
const UNTAKEN_MS = 15_000;

/** Groups what there is by what it needs of its owner. */
export function groupsOf({ trees, runs }: Overview, nowMs: number): Groups {
  const groups = { attention: [] as Concern[], running: [] as Tree[], waiting: [] as Tree[], done: [] as Tree[] };
  const untaken = runs.filter(
    (run) => run.status === "pending" && run.waiting_for === "runner" && waitedMs(run, nowMs) > UNTAKEN_MS,
  );
  for (const run of untaken) groups.attention.push({ kind: "no-runner", run, waitedMs: waitedMs(run, nowMs) });
  for (const tree of trees) {
    // It is told of as a run that nobody takes.
    if (untaken.some(({ session_id }) => session_id === tree.session_id)) continue;
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
    return nowMs - at > NEWS_MS
      ? null
      : { kind: "failed", tree, error: run?.error ?? null, reason: run?.reason ?? null, run };
  }
  const silentMs = silenceOf(tree, runs, nowMs);
  return silentMs > STALLED_MS ? { kind: "stalled", tree, silentMs } : null;
}

/** For how long nothing has come from a session at work; 0 for one that has others at work below it: it may wait for them. */
function silenceOf(tree: Tree, runs: readonly ShownRun[], nowMs: number): number {
  if (tree.status !== "running" || openBelow(tree) > 0) return 0;
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

/** How many sessions there are below the first of a tree. */
export function below(tree: Tree): number {
  return tree.roll_up.sessions - 1;
}

/** How many of them have something to do. */
export function openBelow(tree: Tree): number {
  return openIn(tree) - (isOpen(tree.status) ? 1 : 0);
}

/** How many sessions of a tree have something to do, or wait for others of it. */
export function openIn({ roll_up: { by_status } }: Pick<Tree, "roll_up">): number {
  return (by_status["pending"] ?? 0) + (by_status["running"] ?? 0) + (by_status["stopping"] ?? 0);
}

/** Whether its first session has done its turn and waits for others. */
export function isWaiting(tree: Tree): boolean {
  return !isOpen(tree.status) && openBelow(tree) > 0;
}

function isOpen(status: string): boolean {
  return status === "pending" || status === "running" || status === "stopping";
}

/** For how long a tree's first session has been at work. */
export function atWork(tree: Tree, runs: readonly ShownRun[], nowMs: number): string | undefined {
  const started = runs.find(
    ({ session_id, status }) => session_id === tree.session_id && (status === "running" || status === "stopping"),
  )?.started_at;
  return started == null ? undefined : `for ${duration(nowMs - Date.parse(started))}`;
}

/** What a tree that waits waits for. */
export function waitsFor(tree: Tree, runs: readonly ShownRun[]): string {
  if (tree.status !== "pending")
    return `for ${openBelow(tree)} of ${below(tree)} ${below(tree) === 1 ? "child" : "children"}`;
  const run = runs.find(({ session_id, status }) => session_id === tree.session_id && status === "pending");
  switch (run?.waiting_for) {
    case "time":
      return `scheduled for ${new Date(run.not_before ?? "").toLocaleString([], { dateStyle: "short", timeStyle: "short" })}`;
    case "retry":
      return `before attempt ${run.attempt} of ${run.max_attempts}`;
    case "turn":
      return "for its turn in the session";
    case "runner":
      return "for a runner";
    default:
      return "to begin";
  }
}
