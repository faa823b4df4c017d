import { expect, test } from "bun:test";
import { resultOfLastTurn } from "../../src/client/run-result.ts";
import type { SessionEvent } from "../../src/protocol/session.ts";
import { resultEvent, said, stop } from "./session-events.ts";

const asked = said("go on", "user");
const resumed: SessionEvent = { event_type: "session_start", session_id: "ses_1" };
const text = (result_text: string | null): object => ({ result_text, result_data: null });
const done = (at: number): SessionEvent => stop(at, "run_completed");

const CASES: readonly [what: string, events: readonly SessionEvent[], result: object][] = [
  ["no events", [], text(null)],
  ["one run", [asked, said("a"), said("b"), stop(1)], text("b")],
  ["a silent run after another", [asked, said("a"), stop(1), stop(2)], text(null)],
  ["a silent run that told its prompt", [asked, said("a"), stop(1), resumed, asked, stop(2)], text(null)],
  ["a run after a failed one", [asked, said("partial"), resumed, asked, stop(2)], text(null)],
  ["a `session_stop` that arrived twice", [said("a"), stop(1), stop(1)], text("a")],
  ["a next run that has begun", [said("a"), stop(1), resumed, asked, said("not yet")], text("a")],
  ["no `session_stop` at all", [asked, said("a"), resumed, asked, said("b")], text("b")],
  ["the second generation", [said("a"), resultEvent({ result_text: "A" }), stop(1), done(2)], text("A")],
  ["a silent run of the second generation", [said("a"), stop(1), done(2), stop(3), done(4)], text(null)],
  [
    "data",
    [resultEvent({ result_text: null, result_data: { n: 1 } }), stop(1)],
    { result_text: null, result_data: { n: 1 } },
  ],
];

test.each(CASES)("resultOfLastTurn: %s", (_what, events, result) => {
  expect(resultOfLastTurn(events)).toEqual(result as ReturnType<typeof resultOfLastTurn>);
});
