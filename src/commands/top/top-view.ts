import { harmlessText } from "../../harmless-text.ts";
import { isTerminal, type Run } from "../../protocol/run.ts";
import type { Session } from "../../protocol/session.ts";
import { fitted, padded, printable } from "../terminal/table.ts";
import type { TopData } from "./top-data.ts";

export const VIEWS = ["runs", "tree", "runners"] as const;
export type View = (typeof VIEWS)[number];

/** The state of the screen. */
export interface TopState {
  readonly data: TopData;
  readonly view: View;
  /** Id of the chosen row, which stays chosen when rows are added; null: the first row. */
  readonly chosen: string | null;
  readonly isOpenOnly: boolean;
  readonly showsHelp: boolean;
  /** Id of the run whose stop waits for a confirmation. */
  readonly asksToStop: string | null;
  /** Result of the last action. */
  readonly message: string;
  /** Start of the coordinator's outage; null without one. */
  readonly awaySinceMs: number | null;
  /** The followed run and its log; null without one. */
  readonly followed: { readonly runId: string; readonly lines: readonly string[] } | null;
}

export interface Row {
  readonly id: string;
  /** The run that this row follows or stops; null without one. */
  readonly runId: string | null;
  readonly cells: readonly string[];
  readonly tone: "running" | "waiting" | "failed" | "plain";
}

export interface Size {
  readonly columns: number;
  readonly lines: number;
}

const HEADINGS: Readonly<Record<View, readonly string[]>> = {
  runs: ["STATUS", "AGE", "AGENT", "RUN", "SESSION", "PROMPT"],
  tree: ["STATUS", "AGENT", "COST", "SESSION"],
  runners: ["STATUS", "RUNS", "HOST", "EXECUTOR", "TAGS", "HEARTBEAT", "RUNNER"],
};
const HELP = [
  "up, down, k, j    choose a row          PgUp, PgDn, g, G  page, first and last row",
  "tab, 1, 2, 3      runs, tree, runners   a                 open ones only, or all",
  "f, enter          follow the run        s                 stop the run",
  "q, Ctrl+C         quit                  ?                 this help",
];
/** Bounds the work for a prompt of megabytes. */
const MAX_CELL_CHARACTERS = 1_000;
const KEYS = "? help  tab view  f follow  s stop  a open/all  q quit";

/** The rows of the open view. */
export function rowsOf(
  { data, view, isOpenOnly }: Pick<TopState, "data" | "view" | "isOpenOnly">,
  nowMs: number,
): readonly Row[] {
  switch (view) {
    case "runs":
      return data.runs.filter(({ status }) => !isOpenOnly || !isTerminal(status)).map((run) => runRow(run, nowMs));
    case "tree":
      return treeRows(data, isOpenOnly);
    case "runners":
      return data.runners.map((runner) => ({
        id: runner.runner_id,
        runId: null,
        tone: runner.status === "stale" ? "failed" : "plain",
        cells: [
          runner.status ?? "-",
          String(data.runs.filter((run) => run.runner_id === runner.runner_id && !isTerminal(run.status)).length),
          runner.hostname ?? "-",
          runner.executor_type ?? runner.executor_profile ?? "-",
          (runner.tags ?? []).join(",") || "-",
          runner.seconds_since_heartbeat === null ? "-" : `${age(runner.seconds_since_heartbeat * 1_000)} ago`,
          runner.runner_id,
        ],
      }));
  }
}

function runRow(run: Run, nowMs: number): Row {
  const since = Date.parse((isTerminal(run.status) ? run.completed_at : (run.started_at ?? run.created_at)) ?? "");
  const status = run.waiting_for == null ? run.status : `${run.status} (${run.waiting_for})`;
  const prompt = run.status === "failed" && run.error !== null ? `! ${run.error}` : (run.prompt ?? "");
  return {
    id: run.run_id,
    runId: run.run_id,
    tone: toneOf(run.status),
    cells: [
      status,
      Number.isNaN(since) ? "-" : age(nowMs - since),
      run.agent_name ?? "-",
      run.run_id,
      run.session_id,
      prompt,
    ],
  };
}

/** Parents before their children. A session without a known parent is a root. */
function treeRows({ sessions, runs }: TopData, isOpenOnly: boolean): Row[] {
  const byParent = Map.groupBy(sessions, ({ session_id, parent_session_id }) =>
    isKnown(sessions, parent_session_id, session_id) ? parent_session_id : null,
  );
  const rows: Row[] = [];
  const add = (session: Session, depth: number): boolean => {
    const at = rows.length;
    rows.push(sessionRow(session, depth, runs));
    const below = (byParent.get(session.session_id) ?? []).map((child) => add(child, depth + 1));
    const isOpen = below.some(Boolean) || OPEN.has(session.status);
    if (isOpenOnly && !isOpen) rows.splice(at);
    return isOpen;
  };
  for (const session of byParent.get(null) ?? []) add(session, 0);
  return rows;
}

const OPEN: ReadonlySet<string> = new Set(["pending", "running", "stopping"]);

function isKnown(sessions: readonly Session[], id: string | null | undefined, self: string): id is string {
  return id != null && id !== self && sessions.some(({ session_id }) => session_id === id);
}

function sessionRow(session: Session, depth: number, runs: readonly Run[]): Row {
  const { session_id: id, status, agent_name } = session;
  const usd = session["total_cost_usd"];
  const cost = typeof usd === "number" && usd > 0 ? `$${usd.toFixed(2)}` : "-";
  const run = runs.find((each) => each.session_id === id) ?? null;
  return {
    id,
    runId: run?.run_id ?? null,
    tone: toneOf(status),
    cells: [status, agent_name ?? "-", cost, `${"  ".repeat(depth)}${depth > 0 ? "└ " : ""}${id}`],
  };
}

function toneOf(status: string): Row["tone"] {
  if (status === "failed") return "failed";
  if (status === "running") return "running";
  return status === "pending" || status === "claimed" || status === "stopping" ? "waiting" : "plain";
}

/** `5s`, `12m`, `3h`, `2d`. */
function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

export type Tone = Row["tone"] | "head" | "chosen" | "alert" | "quiet";
export interface Line {
  readonly text: string;
  readonly tone: Tone;
}

/** The lines of the whole screen, none wider than the terminal. */
export function screenOf(state: TopState, size: Size, nowMs: number): readonly Line[] {
  const head = headOf(state, nowMs);
  const foot: Line[] = [{ text: footOf(state), tone: state.asksToStop === null ? "quiet" : "alert" }];
  const room = Math.max(1, size.lines - head.length - foot.length);
  const body = state.showsHelp
    ? HELP.map((text): Line => ({ text, tone: "plain" }))
    : state.followed === null
      ? tableOf(state, room, nowMs)
      : followedOf(state.followed.lines, room);
  const filled = [
    ...body.slice(0, room),
    ...Array.from({ length: Math.max(0, room - body.length) }, (): Line => ({ text: "", tone: "plain" })),
  ];
  return [...head, ...filled, ...foot]
    .slice(0, size.lines)
    .map(({ text, tone }) => ({ tone, text: fitted(text, size.columns) }));
}

function headOf({ data, view, isOpenOnly, awaySinceMs, followed }: TopState, nowMs: number): Line[] {
  const count = (status: string): number => data.runs.filter((run) => run.status === status).length;
  const online = data.runners.filter(({ status }) => status === "online").length;
  const counts = `${count("running")} running, ${count("pending")} pending`;
  const sums = `agent-runner top  ${counts}, ${online} of ${data.runners.length} runners online`;
  const away: Line[] =
    awaySinceMs === null
      ? []
      : [
          {
            text: `DISCONNECTED for ${age(nowMs - awaySinceMs)}: the data is old; waiting for the coordinator`,
            tone: "alert",
          },
        ];
  const tabs = VIEWS.map((name, i) => (name === view ? `[${i + 1} ${name}]` : ` ${i + 1} ${name} `)).join(" ");
  const where =
    followed === null ? `${tabs}  ${isOpenOnly ? "open only" : "all"}` : `Following ${followed.runId}; q goes back`;
  return [{ text: sums, tone: "head" }, ...away, { text: where, tone: "quiet" }];
}

function footOf({ asksToStop, message }: TopState): string {
  if (asksToStop !== null) return `Stop ${asksToStop}? y stops it, any other key does not`;
  return message === "" ? KEYS : printable(message);
}

function followedOf(lines: readonly string[], room: number): Line[] {
  return lines.slice(-room).map((text) => ({ text, tone: "plain" }));
}

/** The part of the table around the chosen row. */
function tableOf(state: TopState, room: number, nowMs: number): Line[] {
  const rows = rowsOf(state, nowMs);
  const headings = HEADINGS[state.view];
  const chosen = Math.max(
    0,
    rows.findIndex(({ id }) => id === state.chosen),
  );
  const height = Math.max(1, room - 1);
  const from = Math.max(0, Math.min(chosen - Math.floor(height / 2), rows.length - height));
  const shown = rows.slice(from, from + height);
  // Keeps runs of spaces, unlike `printable`: they indent the tree.
  const cells = shown.map((row) =>
    row.cells.map((cell) => harmlessText(cell.slice(0, MAX_CELL_CHARACTERS)).replace(/\s/g, " ")),
  );
  const widths = headings.map((heading, i) =>
    cells.reduce((width, row) => Math.max(width, Bun.stringWidth(row[i] ?? "")), heading.length),
  );
  const line = (row: readonly string[]): string =>
    row.map((cell, i) => (i === row.length - 1 ? cell : padded(cell, widths[i] ?? 0))).join("  ");
  if (rows.length === 0)
    return [
      { text: line(headings), tone: "quiet" },
      { text: "nothing here", tone: "quiet" },
    ];
  return [
    { text: line(headings), tone: "quiet" },
    ...shown.map((row, i): Line => ({ text: line(cells[i] ?? []), tone: from + i === chosen ? "chosen" : row.tone })),
  ];
}
