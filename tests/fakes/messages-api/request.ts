import * as v from "valibot";

const TextBlock = v.object({ type: v.literal("text"), text: v.string() });
const ToolUseBlock = v.object({
  type: v.literal("tool_use"),
  id: v.string(),
  name: v.string(),
  input: v.record(v.string(), v.unknown()),
});
const ResultPart = v.union([TextBlock, v.object({ type: v.string() })]);
const ToolResultBlock = v.object({
  type: v.literal("tool_result"),
  tool_use_id: v.string(),
  content: v.optional(v.union([v.string(), v.array(ResultPart)]), ""),
  is_error: v.optional(v.boolean(), false),
});
/** Images, thinking and other blocks that no script reads. */
const OtherBlock = v.object({ type: v.string() });
const Content = v.union([v.string(), v.array(v.union([TextBlock, ToolUseBlock, ToolResultBlock, OtherBlock]))]);

/**
 * Body of `POST /v1/messages`, with the fields that scripts read. The role `system` marks a reminder in the
 * conversation.
 */
export const MessagesRequest = v.object({
  model: v.string(),
  stream: v.optional(v.boolean(), false),
  system: v.optional(v.union([v.string(), v.array(TextBlock)]), ""),
  messages: v.array(v.object({ role: v.picklist(["user", "assistant", "system"]), content: Content })),
  tools: v.optional(v.array(v.object({ name: v.string() })), []),
});
export type MessagesRequest = v.InferOutput<typeof MessagesRequest>;
type Content = v.InferOutput<typeof Content>;
type Block = Exclude<Content, string>[number];
export type ToolUse = v.InferOutput<typeof ToolUseBlock>;
export type ToolResult = v.InferOutput<typeof ToolResultBlock>;

export function textsOf(content: Content): string[] {
  return typeof content === "string" ? [content] : content.filter(isText).map(({ text }) => text);
}

export function toolUsesOf(content: Content): ToolUse[] {
  return typeof content === "string" ? [] : content.filter((block): block is ToolUse => block.type === "tool_use");
}

export function toolResultsOf(content: Content): ToolResult[] {
  return typeof content === "string"
    ? []
    : content.filter((block): block is ToolResult => block.type === "tool_result");
}

function isText(block: Block): block is v.InferOutput<typeof TextBlock> {
  return block.type === "text";
}
