import { expect, test } from "bun:test";
import { CoordinatorFailure } from "../../../src/client/failure.ts";
import type { CoordinatorClient } from "../../../src/client/coordinator-client.ts";
import { type Activity, Grant } from "../../../src/gateway/grant.ts";
import type { AssignedRun } from "../../../src/protocol/poll.ts";
import type { SessionEvent } from "../../../src/protocol/session.ts";
import { ActiveRun } from "../../../src/runner/runs/active-run.ts";
import { finishSession } from "../../../src/runner/execution/finish-session.ts";
import { Link } from "../../../src/runner/link/link.ts";
import type { RunnerParts } from "../../../src/runner/execution/runner-parts.ts";
import { assignedRun } from "../assigned-run.ts";
import { recordedLog } from "../recorded-log.ts";

const SILENT: Activity = {
  assistantMessageSent: false,
  sessionStopSent: false,
  sessionStopAt: null,
  resultSent: false,
  lastAssistantText: "",
};
const STOP = { event_type: "session_stop", session_id: "ses_1", exit_code: 0, reason: "completed" };
const message = (text: string) => ({
  event_type: "message",
  session_id: "ses_1",
  role: "assistant",
  content: [{ type: "text", text }],
});

/** The events that are sent for an executor with this activity and stdout. */
async function sent(
  activity: Partial<Activity>,
  stdout: string,
  run: Partial<AssignedRun> = {},
  send = () => Promise.resolve(),
): Promise<{ events: unknown[]; lines: string[] }> {
  const events: unknown[] = [];
  const times: number[] = [];
  const { log, lines } = recordedLog();
  const link = new Link(log, 0, () => {});
  const coordinator = {
    sendEvent: async ({ timestamp, ...event }: SessionEvent) => {
      expect(Date.parse(timestamp ?? "")).toBeGreaterThan(times.at(-1) ?? 0);
      times.push(Date.parse(timestamp ?? ""));
      events.push(event);
      await send();
    },
  };
  const parts = { coordinator, delivery: { link, log, renew: () => Promise.resolve() }, log } as unknown as RunnerParts;
  const grant = new Grant("run_1", "ses_1", coordinator as unknown as CoordinatorClient, () => {}, {
    token: "t",
    activity: { ...SILENT, ...activity },
  });
  await finishSession(new ActiveRun(assignedRun(run)), grant, () => stdout, parts);
  return { events, lines };
}

test("finishSession: sends the end of stdout as the message, then session_stop", async () => {
  expect((await sent({}, "hello")).events).toEqual([message("hello"), STOP]);
});

test("finishSession: sends no message for an empty stdout", async () => {
  expect((await sent({}, "")).events).toEqual([STOP]);
});

test("finishSession: sends no message if the executor has sent one", async () => {
  expect((await sent({ assistantMessageSent: true, lastAssistantText: "mine" }, "noise")).events).toEqual([STOP]);
});

test("finishSession: sends nothing if the executor has sent session_stop", async () => {
  expect((await sent({ sessionStopSent: true }, "noise")).events).toEqual([]);
});

test("finishSession: sends a result for a run of the second generation, from the message or from stdout", async () => {
  const second = { generation: "second" } as const;
  const result = (text: string) => ({ event_type: "result", session_id: "ses_1", result_text: text });
  expect((await sent({}, "hello", second)).events).toEqual([message("hello"), result("hello"), STOP]);
  expect(
    (await sent({ assistantMessageSent: true, lastAssistantText: "mine", sessionStopSent: true }, "noise", second))
      .events,
  ).toEqual([result("mine")]);
  expect((await sent({ resultSent: true, sessionStopSent: true }, "noise", second)).events).toEqual([]);
});

test("finishSession: logs a refused event, and does not fail the run", async () => {
  const { lines } = await sent({}, "hello", {}, () =>
    Promise.reject(new CoordinatorFailure("refused", "no session", 404)),
  );
  expect(lines[0]).toBe("[WARNING] supervisor: The coordinator refused the event message: no session [run_1 ses_1]");
});
