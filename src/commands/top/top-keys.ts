import { rowsOf, type TopState, VIEWS } from "./top-view.ts";

/** The effect of a key beyond the screen. */
export type Effect =
  | { readonly kind: "none" }
  | { readonly kind: "quit" }
  | { readonly kind: "stop"; readonly runId: string }
  | { readonly kind: "follow"; readonly runId: string }
  | { readonly kind: "unfollow" };

const NONE: Effect = { kind: "none" };
const PAGE = 10;
/** Rows that each key moves. */
const MOVES: Readonly<Record<string, number>> = {
  "\x1b[A": -1,
  "\x1bOA": -1,
  k: -1,
  "\x1b[B": 1,
  "\x1bOB": 1,
  j: 1,
  "\x1b[5~": -PAGE,
  "\x1b[6~": PAGE,
  g: -Infinity,
  "\x1b[H": -Infinity,
  G: Infinity,
  "\x1b[F": Infinity,
};

/** Splits keyboard input into escape sequences and single characters. */
export function keysOf(input: string): string[] {
  // oxlint-disable-next-line no-control-regex
  return input.match(/\x1b\[[0-9;]*[~A-Za-z]|\x1bO[A-Z]|[^]/gu) ?? [];
}

/** The state after a key, and the key's effect. */
export function afterKey(
  state: TopState,
  key: string,
  nowMs: number,
): { readonly state: TopState; readonly effect: Effect } {
  if (key === "\x03") return { state, effect: { kind: "quit" } };
  if (state.asksToStop !== null) {
    const effect: Effect = key === "y" || key === "Y" ? { kind: "stop", runId: state.asksToStop } : NONE;
    return { state: { ...state, asksToStop: null, message: effect === NONE ? "Not stopped" : "" }, effect };
  }
  if (state.showsHelp) return { state: { ...state, showsHelp: false }, effect: NONE };
  if (state.followed !== null)
    return key === "q" || key === "\x1b" || key === "f"
      ? { state: { ...state, followed: null }, effect: { kind: "unfollow" } }
      : { state, effect: NONE };
  const move = MOVES[key];
  if (move !== undefined) return { state: moved(state, move, nowMs), effect: NONE };
  return command({ ...state, message: "" }, key, nowMs);
}

function command(state: TopState, key: string, nowMs: number): { readonly state: TopState; readonly effect: Effect } {
  const only = (next: TopState): { state: TopState; effect: Effect } => ({ state: next, effect: NONE });
  const run =
    rowsOf(state, nowMs).find(({ id }, i) => (state.chosen === null ? i === 0 : id === state.chosen))?.runId ?? null;
  switch (key) {
    case "q":
      return { state, effect: { kind: "quit" } };
    case "?":
    case "h":
      return only({ ...state, showsHelp: true });
    case "a":
      return only({ ...state, isOpenOnly: !state.isOpenOnly });
    case "\t":
      return only({ ...state, chosen: null, view: VIEWS[(VIEWS.indexOf(state.view) + 1) % VIEWS.length] ?? "runs" });
    case "1":
    case "2":
    case "3":
      return only({ ...state, chosen: null, view: VIEWS[Number(key) - 1] ?? "runs" });
    case "s":
      return only(run === null ? { ...state, message: "This row has no run to stop" } : { ...state, asksToStop: run });
    case "f":
    case "\r":
      if (run === null) return only({ ...state, message: "This row has no run to follow" });
      return { state: { ...state, followed: { runId: run, lines: [] } }, effect: { kind: "follow", runId: run } };
    default:
      return only(state);
  }
}

function moved(state: TopState, by: number, nowMs: number): TopState {
  const rows = rowsOf(state, nowMs);
  const at = Math.max(
    0,
    rows.findIndex(({ id }) => id === state.chosen),
  );
  const to = Math.min(rows.length - 1, Math.max(0, at + by));
  return { ...state, chosen: rows[to]?.id ?? null };
}
