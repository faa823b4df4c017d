import * as v from "valibot";
import { messageText, SessionEvent } from "../protocol/session.ts";
import { keepValid } from "../protocol/keep-valid.ts";

/** The first generation of the coordinator has only texts; the second has text or data. */
export interface RunResult {
  readonly result_text: string | null;
  readonly result_data: unknown;
}

/** Reads a path of the coordinator. Resolves to undefined if it refuses with 400, 404 or 405. */
export type OptionalGet = (path: string) => Promise<unknown>;

/** Answer of `GET /sessions/{id}/result`: the first generation answers with `result`, the second with the others. */
export const SessionResultAnswer = v.looseObject({
  result: v.nullish(v.string()),
  result_text: v.nullish(v.string()),
  result_data: v.nullish(v.unknown()),
});

/** Whether an answer means that there is no such endpoint, or nothing to read there yet. */
export function isMissing(status: number | null): boolean {
  return status === 400 || status === 404 || status === 405;
}

export function textOfResult({ result_text, result_data }: RunResult): string | null {
  return result_text ?? (result_data == null ? null : JSON.stringify(result_data));
}

const OwnResult = v.looseObject({ result: v.nullable(v.string()) });
const Events = v.looseObject({ events: v.array(v.unknown()) });

/** The Python coordinators show the first events of a session and no more than these. */
const MOST_EVENTS = 100;

/**
 * The result of a completed run: what this run said, never what an earlier run of its session said. The built-in
 * coordinator knows it. The Python coordinators do not, so it is read from the session's events. Undefined: the
 * coordinator tells neither, or not all events.
 */
export async function readRunResult(
  get: OptionalGet,
  run: { readonly run_id: string; readonly session_id: string },
): Promise<RunResult | undefined> {
  const own = v.safeParse(OwnResult, await get(`/runs/${encodeURIComponent(run.run_id)}/result`));
  if (own.success) return { result_text: own.output.result, result_data: null };
  const all = v.safeParse(Events, await get(`/sessions/${encodeURIComponent(run.session_id)}/events`));
  if (!all.success || all.output.events.length >= MOST_EVENTS) return undefined;
  return resultOfLastTurn(keepValid(SessionEvent, all.output.events));
}

/**
 * What the last completed run of a session said. A completed run ends its events with `run_completed` in the second
 * generation, with `session_stop` in the first. A turn begins with `session_start` or the user's message.
 */
export function resultOfLastTurn(events: readonly SessionEvent[]): RunResult {
  const end = events.some(({ event_type }) => event_type === "run_completed") ? "run_completed" : "session_stop";
  let turn: SessionEvent[] = [];
  let last: SessionEvent[] | undefined;
  let lastEnd = "";
  for (const event of events) {
    const { event_type: type, role } = event;
    if (type === "session_start" || (type === "message" && role === "user")) turn = [];
    if (type !== end) {
      turn.push(event);
      continue;
    }
    // An event may arrive twice: the second `session_stop` of a run ends no other run.
    const isRepeated = turn.length === 0 && event.timestamp != null && event.timestamp === lastEnd;
    if (!isRepeated) last = turn;
    lastEnd = event.timestamp ?? "";
    turn = [];
  }
  const said = last ?? turn;
  const result = said.findLast(({ event_type }) => event_type === "result");
  const answer = said.findLast(({ event_type, role }) => event_type === "message" && role === "assistant");
  return {
    result_text: result?.result_text ?? (answer === undefined ? null : messageText(answer)),
    result_data: result?.result_data ?? null,
  };
}
