import { describe, expect, test } from "bun:test";
import { bindOf, closingEvents, eventsOf, openingEvents } from "../../../executors/claude-code/events.ts";
import { readMessage } from "../../../executors/claude-code/messages.ts";
import { SessionEvent } from "../../../src/protocol/session.ts";
import * as v from "valibot";
import { delta, toolResult, init, result, assistantText, turnOf, toolUse } from "./claude-messages.ts";

const plain = (text: string): string => text;

/** The events for the last of these messages. */
function events(messages: readonly Readonly<Record<string, unknown>>[], redact = plain): Record<string, unknown>[] {
  const [last, ...before] = messages.toReversed();
  return eventsOf(readMessage(last), turnOf(...before.toReversed()), redact);
}

describe("eventsOf", () => {
  test("a text of the agent", () => {
    expect(events([assistantText("Hi.")])).toEqual([
      { event_type: "message", role: "assistant", content: [{ type: "text", text: "Hi." }] },
    ]);
  });

  test("no texts of a subagent or of Claude Code itself, and no errors of the provider", () => {
    expect(events([assistantText("Hi.", { parent_tool_use_id: "t1" })])).toEqual([]);
    expect(events([assistantText("API Error: 529", { error: "server_error" })])).toEqual([]);
    const message = { model: "<synthetic>", content: [{ type: "text", text: "No such command" }] };
    expect(events([assistantText("", { message })])).toEqual([]);
    for (const message of [init(), delta("Hi"), result("Hi"), { type: "news" }, null])
      expect(eventsOf(readMessage(message), turnOf(), plain)).toEqual([]);
  });

  test("a tool use and its result", () => {
    const tool = { tool_name: "Bash", tool_use_id: "t1", tool_input: { command: "ls" } };
    expect(events([toolUse("t1", "Bash", { command: "ls" })])).toEqual([{ event_type: "pre_tool", ...tool }]);
    expect(events([toolUse("t1", "Bash", { command: "ls" }), toolResult("t1", "a\nb")])).toEqual([
      { event_type: "post_tool", ...tool, tool_output: "a\nb" },
    ]);
  });

  test("a failed tool, a tool of a subagent, and output other than text", () => {
    const child = { parent_tool_use_id: "t0" };
    expect(
      events([toolUse("t1", "Bash", {}, child), toolResult("t1", "no", { is_error: true, ...child })]),
    ).toMatchObject([{ event_type: "post_tool", tool_output: "no", error: "no", parent_tool_use_id: "t0" }]);
    const blocks = [
      { type: "text", text: "see" },
      { type: "image", source: {} },
    ];
    expect(events([toolUse("t1", "Read"), toolResult("t1", blocks)])).toMatchObject([{ tool_output: "see\n[image]" }]);
    expect(events([toolResult("unknown", "x")])).toEqual([]);
  });

  test("long inputs and outputs without their middle, with a note", () => {
    const long = `${"a".repeat(15_000)}${"z".repeat(15_000)}`;
    const [event] = events([toolUse("t1", "Write", { file: "f", content: [long] }), toolResult("t1", long)]);
    expect(event?.["tool_output"]).toStartWith("aaa");
    expect(event?.["tool_output"]).toEndWith("zzz");
    expect(event?.["tool_output"]).toContain("\n[... 14000 of 30000 characters omitted ...]\n");
    expect(JSON.stringify(event?.["tool_input"]).length).toBeLessThan(17_000);
    expect(events([toolUse("t1", "Bash"), toolResult("t1", "x".repeat(16_000))])).toMatchObject([
      { tool_output: "x".repeat(16_000) },
    ]);
  });

  test("no secrets in inputs and outputs of tools", () => {
    const redact = (text: string): string => text.replaceAll("s3cret", "***");
    const [event] = events(
      [toolUse("t1", "Bash", { command: "echo s3cret" }), toolResult("t1", "s3cret", { is_error: true })],
      redact,
    );
    expect(JSON.stringify(event)).not.toContain("s3cret");
  });
});

describe("openingEvents, closingEvents and bindOf", () => {
  test("a resumed session starts with session_start", () => {
    expect(openingEvents({ mode: "start", prompt: "Do." }).map(({ event_type }) => event_type)).toEqual(["message"]);
    expect(openingEvents({ mode: "resume", prompt: "Do." })).toEqual([
      { event_type: "session_start" },
      { event_type: "message", role: "user", content: [{ type: "text", text: "Do." }] },
    ]);
    expect(bindOf("c0ffee", "/p")).toMatchObject({
      executor_session_id: "c0ffee",
      executor_type: "claude-code",
      executor_profile: "claude-code",
      project_dir: "/p",
    });
  });

  test("success: the result, equal to the last message, and the totals", () => {
    const turn = turnOf(init(), assistantText("Hi."), result("Hi."));
    const [first, ending, ...more] = closingEvents({ kind: "success", text: "Hi.", data: null }, turn, ["a note"]);
    expect(more).toEqual([]);
    expect(first).toEqual({ event_type: "result", result_text: "Hi." });
    expect(ending).toEqual({
      event_type: "ending",
      reason: "success",
      turns: 2,
      duration_ms: 300,
      cost_usd: 0.25,
      tokens: { input: 11, output: 7, cache_read: 3, cache_write: 2 },
      model: "opus",
      claude_code_version: "2.1.330",
      notes: ["a note"],
    });
  });

  test("success: a result that differs from the last message is sent as a message too", () => {
    const turn = turnOf(init(), assistantText("Thinking."), result("The answer."));
    expect(closingEvents({ kind: "success", text: "The answer.", data: null }, turn, [])).toMatchObject([
      { event_type: "message", role: "assistant", content: [{ type: "text", text: "The answer." }] },
      { event_type: "result" },
      { event_type: "ending" },
    ]);
  });

  test("success: data is an object, and its JSON is the last message", () => {
    const turn = turnOf(init(), result(""));
    expect(closingEvents({ kind: "success", text: '{"a":1}', data: { a: 1 } }, turn, [])).toMatchObject([
      { event_type: "message", content: [{ text: '{"a":1}' }] },
      { event_type: "result", result_data: { a: 1 } },
      { event_type: "ending" },
    ]);
    expect(closingEvents({ kind: "success", text: "[1]", data: [1] }, turn, [])[1]).toEqual({
      event_type: "result",
      result_data: { value: [1] },
    });
  });

  test("failure: the partial text, the reason, and no result", () => {
    const turn = turnOf(init(), assistantText("First."), delta("Now I "), delta("wri"));
    const events = closingEvents(
      { kind: "usage-limit", reason: "used up", resetsAt: "2027-01-15T08:00:00.000Z" },
      turn,
      [],
    );
    expect(events).toMatchObject([
      { event_type: "message", role: "assistant", content: [{ type: "text", text: "Now I wri" }] },
      { event_type: "ending", reason: "usage-limit", error: "used up", resets_at: "2027-01-15T08:00:00.000Z" },
    ]);
    expect(events).toHaveLength(2);
    for (const event of events) expect(v.is(SessionEvent, { ...event, session_id: "ses_1" })).toBe(true);
  });

  test("a usage limit means all runs, unless it is that of one model", () => {
    const resetsAt = "2027-01-15T08:00:00.000Z";
    for (const [rateLimitType, isOfAll] of [
      ["five_hour", true],
      ["seven_day", true],
      ["seven_day_opus", false],
    ] as const) {
      const limited = { type: "rate_limit_event", rate_limit_info: { status: "rejected", rateLimitType, resetsAt: 1 } };
      const [ending] = closingEvents({ kind: "usage-limit", reason: "used up", resetsAt }, turnOf(init(), limited), []);
      expect([ending?.["retry_at"], ending?.["limited_until"]]).toEqual([resetsAt, isOfAll ? resetsAt : undefined]);
    }
  });

  test("names denied tools, and adds up the totals of several turns", () => {
    const denied = result("b", { permission_denials: [{ tool_name: "Bash", tool_use_id: "t1", tool_input: {} }] });
    const [, , ending] = closingEvents(
      { kind: "success", text: "b", data: null },
      turnOf(init(), result("a"), init(), denied),
      [],
    );
    expect(ending).toMatchObject({
      refused_tools: ["Bash"],
      turns: 4,
      duration_ms: 600,
      cost_usd: 0.5,
      tokens: { input: 22 },
    });
  });
});
