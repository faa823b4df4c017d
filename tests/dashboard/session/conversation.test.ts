import { expect, test } from "bun:test";
import { conversationOf, type Entry, type NumberedEvent } from "../../../src/dashboard/session/conversation.ts";

function told(...events: Record<string, unknown>[]): Entry[] {
  return conversationOf(
    events.map(
      (event, i) => ({ session_id: "ses_1", timestamp: null, event_id: i + 1, ...event }) as unknown as NumberedEvent,
    ),
  );
}
const said = (role: string, text: string): Record<string, unknown> => ({
  event_type: "message",
  role,
  content: [{ type: "text", text }],
});

test("conversationOf messages keeps their order, roles and texts", () => {
  const shown = told(said("user", "Hello"), said("assistant", "Hi"), {
    event_type: "message",
    role: "assistant",
    content: [
      { type: "text", text: "a" },
      { type: "text", text: "b" },
    ],
  });
  expect(shown).toMatchObject([
    { kind: "message", id: 1, role: "user", text: "Hello" },
    { kind: "message", id: 2, role: "assistant", text: "Hi" },
    { kind: "message", id: 3, role: "assistant", text: "ab" },
  ]);
});

test("conversationOf puts a tool's result where it was called, whatever came between", () => {
  const shown = told(
    { event_type: "pre_tool", tool_name: "Bash", tool_use_id: "u1", tool_input: { command: "ls" } },
    { event_type: "pre_tool", tool_name: "Read", tool_use_id: "u2", tool_input: "file" },
    {
      event_type: "post_tool",
      tool_name: "Read",
      tool_use_id: "u2",
      tool_output: "no such file",
      error: "no such file",
    },
    {
      event_type: "post_tool",
      tool_name: "Bash",
      tool_use_id: "u1",
      tool_output: { files: 2 },
      parent_tool_use_id: "u0",
    },
  );
  expect(shown).toMatchObject([
    {
      kind: "tool",
      id: 1,
      name: "Bash",
      input: '{\n  "command": "ls"\n}',
      output: '{\n  "files": 2\n}',
      hasFailed: false,
      hasEnded: true,
    },
    { kind: "tool", id: 2, name: "Read", input: "file", output: "no such file", hasFailed: true, hasEnded: true },
  ]);
});

test("conversationOf a call without a result, and of a result without its call", () => {
  expect(
    told({ event_type: "pre_tool", tool_name: "Bash", tool_use_id: "u1", parent_tool_use_id: "u0" }),
  ).toMatchObject([{ kind: "tool", output: null, hasEnded: false, isNested: true, input: null }]);
  expect(told({ event_type: "post_tool", tool_name: "Bash", tool_use_id: "u1", tool_output: "out" })).toMatchObject([
    { kind: "tool", output: "out", hasEnded: true, isNested: false },
  ]);
  expect(told({ event_type: "post_tool" })).toMatchObject([{ kind: "tool", name: "a tool", output: "" }]);
});

test.each([
  ["the telling field of an object", { description: "Look", command: "rg  x\n src" }, "rg x src"],
  ["the first text of an object without one", { n: 1, name: "x", other: "y" }, "x"],
  ["a text", "look", "look"],
  ["numbers and nothing", 42, "42"],
  ["an object without texts", { n: 1 }, ""],
  ["a list", ["first", "second"], "first"],
  ["a huge text", "x".repeat(1_000), "x".repeat(160)],
])("conversationOf a call tells as its gist %s", (_, tool_input, gist) => {
  expect(told({ event_type: "pre_tool", tool_name: "Bash", tool_input })).toMatchObject([{ gist }]);
});

test("conversationOf a result shows it where the agent has not just said it", () => {
  expect(told(said("assistant", "42"), { event_type: "result", result_text: "42" })).toHaveLength(1);
  expect(told(said("assistant", "so"), { event_type: "result", result_text: "42" })[1]).toMatchObject({
    kind: "note",
    title: "Result",
    text: "42",
  });
  expect(told({ event_type: "result", result_data: { n: 1 } })).toMatchObject([
    { title: "Result", text: '{\n  "n": 1\n}' },
  ]);
});

test("conversationOf beginnings and ends", () => {
  expect(told({ event_type: "session_start" })).toMatchObject([{ title: "The session was resumed", isBad: false }]);
  expect(told({ event_type: "session_stop", exit_code: 0, reason: "completed" })).toMatchObject([
    { title: "The turn has ended", text: null, isBad: false },
  ]);
  expect(told({ event_type: "session_stop", exit_code: 3, reason: "crashed" })).toMatchObject([
    { text: "crashed, exit code 3", isBad: true },
  ]);
  expect(told({ event_type: "ending", reason: "success", model: "opus", notes: ["a note"] })).toMatchObject([
    { title: "The agent has ended", text: "Model: opus\na note", isBad: false },
  ]);
  expect(told({ event_type: "ending", reason: "usage-limit", error: "no more today" })).toMatchObject([
    { title: "The agent has ended: usage-limit", text: "no more today", isBad: true },
  ]);
});

test("conversationOf shows an event that it knows nothing of, and leaves out the mere figures", () => {
  expect(told({ event_type: "weather", sun: true })).toMatchObject([
    { kind: "note", title: "weather", text: '{\n  "sun": true\n}' },
  ]);
  expect(told({ event_type: "usage", total_cost_usd: 1 })).toEqual([]);
});
