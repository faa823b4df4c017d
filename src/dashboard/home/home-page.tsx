import type { ComponentChildren, VNode } from "preact";
import { RunnersAnswer, RunsAnswer, TreesAnswer } from "../../protocol/answers.ts";
import { useRunRefusal } from "../caller.ts";
import { counted, duration } from "../parts/figures.ts";
import { InlineText } from "../parts/inline-text.tsx";
import { type Services, useNow, useQuery } from "../query.ts";
import { linkTo } from "../route.ts";
import { type Concern, groupsOf, runningFor, type Tree, waitReason } from "./grouping.ts";
import { TreeCard } from "./tree-card.tsx";

/** Read apart from the active trees: scheduled trees are pending, but not active. */
const PENDING_TREES = "/trees?status=pending&limit=50";
const OPEN_TREES = "/trees?active=true&limit=200";
const FAILED_TREES = "/trees?status=failed&limit=50";
const DONE_TREES = "/trees?status=finished,stopped,idle&limit=20";
const OPEN_RUNS = "/runs?status=pending,claimed,running,stopping&limit=500";
const FAILED_RUNS = "/runs?status=failed&limit=100";

const MAX_ERROR_CHARACTERS = 300;

/** All trees, those that need attention first. */
export function HomePage({ services, onStart }: { readonly services: Services; readonly onStart: () => void }): VNode {
  const nowMs = useNow(1_000);
  // Hooks in a loop: the lists are constant, so the order of the hooks is too.
  const trees = [OPEN_TREES, PENDING_TREES, FAILED_TREES, DONE_TREES].map((path) =>
    useQuery(services, path, TreesAnswer),
  );
  const runs = [OPEN_RUNS, FAILED_RUNS].map((path) => useQuery(services, path, RunsAnswer));
  const fault = [...trees, ...runs].find((answer) => answer.fault !== null)?.fault ?? null;
  const isLoaded = [...trees, ...runs].every((answer) => answer.value !== null);
  const allRuns = runs.flatMap((answer) => answer.value?.runs ?? []);
  const groups = groupsOf(
    { trees: unique(trees.flatMap((answer) => answer.value?.trees ?? [])), runs: allRuns },
    nowMs,
  );
  const card = (tree: Tree, note?: string): VNode => (
    <TreeCard
      key={tree.session_id}
      services={services}
      tree={tree}
      nowMs={nowMs}
      {...(note === undefined ? {} : { note })}
    />
  );
  if (!isLoaded) return <p class="quiet">{fault === null ? "Loading…" : `Failed to load the overview: ${fault}`}</p>;
  const isEmpty = groups.attention.length + groups.running.length + groups.waiting.length + groups.done.length === 0;
  return (
    <>
      <h1 class="unseen">Overview</h1>
      <RunnersLine services={services} />
      {fault !== null && (
        <p role="alert" class="fault">
          Parts of this page are out of date: {fault}
        </p>
      )}
      {isEmpty && <Welcome onStart={onStart} />}
      <Group name="Needs attention" tone="failed" count={groups.attention.length}>
        {groups.attention.map((concern) => (
          <ConcernCard key={keyOf(concern)} services={services} concern={concern} nowMs={nowMs} />
        ))}
      </Group>
      <Group name="Running" tone="running" count={groups.running.length}>
        {groups.running.map((tree) => card(tree, runningFor(tree, allRuns, nowMs)))}
      </Group>
      <Group name="Waiting" tone="waiting" count={groups.waiting.length}>
        {groups.waiting.map((tree) => card(tree, waitReason(tree, allRuns)))}
      </Group>
      <Group name="Done" tone="done" count={groups.done.length}>
        {groups.done.map((tree) => (
          <TreeCard key={tree.session_id} services={services} tree={tree} nowMs={nowMs} isBrief />
        ))}
      </Group>
      {!isEmpty && (
        <p class="quiet">
          Only the newest are shown: see <a href={linkTo({ view: "sessions" })}>all sessions</a>.
        </p>
      )}
    </>
  );
}

function Group({
  name,
  tone,
  count,
  children,
}: {
  readonly name: string;
  readonly tone: string;
  readonly count: number;
  readonly children: ComponentChildren;
}): VNode | null {
  if (count === 0) return null;
  return (
    <section class={`group group-${tone}`} aria-label={name}>
      <h2>
        {name} <span class="count">{count}</span>
      </h2>
      <ul class="cards">{children}</ul>
    </section>
  );
}

function ConcernCard({
  services,
  concern,
  nowMs,
}: {
  readonly services: Services;
  readonly concern: Concern;
  readonly nowMs: number;
}): VNode {
  switch (concern.kind) {
    case "failed":
      return (
        <TreeCard services={services} tree={concern.tree} nowMs={nowMs} lastRun={concern.run}>
          <p class="why">
            {concern.error === null ? (
              "The run failed without an error message."
            ) : (
              <InlineText text={endOf(concern.error)} max={MAX_ERROR_CHARACTERS} />
            )}
          </p>
        </TreeCard>
      );
    case "stalled":
      return (
        <TreeCard services={services} tree={concern.tree} nowMs={nowMs}>
          <p class="why">The agent has sent no event for {duration(concern.silentMs)}: it may hang.</p>
        </TreeCard>
      );
    case "no-runner":
      return <NoRunner concern={concern} />;
  }
}

function NoRunner({
  concern: { run, waitedMs },
}: {
  readonly concern: Extract<Concern, { kind: "no-runner" }>;
}): VNode {
  const demands = Object.entries(run.demands ?? {}).filter(([, value]) => value != null && String(value) !== "");
  return (
    <li class="card">
      <a class="tree-title" href={linkTo({ view: "session", sessionId: run.session_id })}>
        <InlineText text={run.prompt} />
      </a>
      <p class="why">
        No runner has claimed this run for {duration(waitedMs)}.{" "}
        {demands.length === 0 ? (
          "No runner is online, or all are busy."
        ) : (
          <>
            It requires a runner with{" "}
            <InlineText text={demands.map(([name, value]) => `${name} ${String(value)}`).join(", ")} />.
          </>
        )}{" "}
        <a href={linkTo({ view: "runners" })}>Runners</a>
      </p>
    </li>
  );
}

function RunnersLine({ services }: { readonly services: Services }): VNode | null {
  // No event tells that a runner registers or goes offline.
  const { value } = useQuery(services, "/runners", RunnersAnswer, { everyMs: 5_000 });
  if (value === null) return null;
  const online = value.runners.filter(({ status }) => status === "online");
  const busy = online.reduce((sum, { active_runs }) => sum + active_runs, 0);
  if (online.length === 0) {
    return (
      <p class="notice">
        <strong>No runner is online:</strong> runs stay pending. Start a runner with{" "}
        <code>agent-runner -x test-executor -c {location.origin}</code>
      </p>
    );
  }
  return (
    <p class="summary">
      <a href={linkTo({ view: "runners" })}>{counted(online.length, "runner")} online</a>, {counted(busy, "active run")}
    </p>
  );
}

function Welcome({ onStart }: { readonly onStart: () => void }): VNode {
  const refusal = useRunRefusal();
  return (
    <section class="welcome">
      <h2>No runs yet</h2>
      <p>A run gives a prompt to an agent. Start one and follow it here.</p>
      <button type="button" class="primary" disabled={refusal !== null} onClick={onStart}>
        Start the first run
      </button>
    </section>
  );
}

/** The cause of a failure usually stands at the end of a program's output. */
function endOf(error: string): string {
  const text = error.trim();
  return text.length > MAX_ERROR_CHARACTERS ? `…${text.slice(1 - MAX_ERROR_CHARACTERS)}` : text;
}

/** A tree whose status has just changed may be in two of the lists. */
function unique(trees: readonly Tree[]): readonly Tree[] {
  return [...new Map(trees.toReversed().map((tree) => [tree.session_id, tree])).values()].reverse();
}

function keyOf(concern: Concern): string {
  return concern.kind === "no-runner" ? concern.run.run_id : concern.tree.session_id;
}
