import { expect, test } from "bun:test";
import { conversationOf, type Entry, type NumberedEvent } from "../../../src/dashboard/session/conversation.ts";

function entriesOf(...events: Record<string, unknown>[]): Entry[] {
  return conversationOf(
    events.map(
      (event, i) => ({ session_id: "ses_1", timestamp: null, event_id: i + 1, ...event }) as unknown as NumberedEvent,
    ),
  );
}
const message = (role: string, text: string): Record<string, unknown> => ({
  event_type: "message",
  role,
  content: [{ type: "text", text }],
});

test("conversationOf keeps the order, roles and texts of messages", () => {
  const shown = entriesOf(message("user", "Hello"), message("assistant", "Hi"), {
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

test("conversationOf merges a tool's result into its call, also after other events", () => {
  const shown = entriesOf(
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

test("conversationOf shows a call without a result, and a result without its call", () => {
  expect(
    entriesOf({ event_type: "pre_tool", tool_name: "Bash", tool_use_id: "u1", parent_tool_use_id: "u0" }),
  ).toMatchObject([{ kind: "tool", output: null, hasEnded: false, isNested: true, input: null }]);
  expect(
    entriesOf({ event_type: "post_tool", tool_name: "Bash", tool_use_id: "u1", tool_output: "out" }),
  ).toMatchObject([{ kind: "tool", output: "out", hasEnded: true, isNested: false }]);
  expect(entriesOf({ event_type: "post_tool" })).toMatchObject([{ kind: "tool", name: "unnamed tool", output: "" }]);
});

test.each([
  ["the best field of an object", { description: "Search", command: "rg  x\n src" }, "rg x src"],
  ["the first text of an object without such a field", { n: 1, name: "x", other: "y" }, "x"],
  ["a text", "main.ts", "main.ts"],
  ["a number", 42, "42"],
  ["an object without texts", { n: 1 }, ""],
  ["a list", ["first", "second"], "first"],
  ["a huge text", "x".repeat(1_000), "x".repeat(160)],
])("conversationOf: the gist of a call is from %s", (_, tool_input, gist) => {
  expect(entriesOf({ event_type: "pre_tool", tool_name: "Bash", tool_input })).toMatchObject([{ gist }]);
});

test("conversationOf shows a result unless it repeats the last message", () => {
  expect(entriesOf(message("assistant", "42"), { event_type: "result", result_text: "42" })).toHaveLength(1);
  expect(entriesOf(message("assistant", "so"), { event_type: "result", result_text: "42" })[1]).toMatchObject({
    kind: "note",
    title: "Result",
    text: "42",
  });
  expect(entriesOf({ event_type: "result", result_data: { n: 1 } })).toMatchObject([
    { title: "Result", text: '{\n  "n": 1\n}' },
  ]);
});

test("conversationOf shows starts and ends as notes", () => {
  expect(entriesOf({ event_type: "session_start" })).toMatchObject([{ title: "Session resumed", isBad: false }]);
  expect(entriesOf({ event_type: "session_stop", exit_code: 0, reason: "completed" })).toMatchObject([
    { title: "Turn ended", text: null, isBad: false },
  ]);
  expect(entriesOf({ event_type: "session_stop", exit_code: 3, reason: "crashed" })).toMatchObject([
    { text: "crashed, exit code 3", isBad: true },
  ]);
  expect(entriesOf({ event_type: "ending", reason: "success", model: "opus", notes: ["a note"] })).toMatchObject([
    { title: "Agent ended", text: "Model: opus\na note", isBad: false },
  ]);
  expect(entriesOf({ event_type: "ending", reason: "usage-limit", error: "no more today" })).toMatchObject([
    { title: "Agent ended: usage-limit", text: "no more today", isBad: true },
  ]);
});

test("conversationOf shows an unknown event as a note, and omits usage", () => {
  expect(entriesOf({ event_type: "weather", sun: true })).toMatchObject([
    { kind: "note", title: "weather", text: '{\n  "sun": true\n}' },
  ]);
  expect(entriesOf({ event_type: "usage", total_cost_usd: 1 })).toEqual([]);
});
