import type { CallToolResult } from "@modelcontextprotocol/server";

/** Told to the agent as the result of its call, as an error; the words say what it can do. */
export class ToolError extends Error {
  override readonly name = "ToolError";
}

/** A result as JSON text, and structured for clients that read that; a list is `{result: [...]}` there, where only objects may stand. */
export function toolResult(value: object, text: string = JSON.stringify(value)): CallToolResult {
  const structuredContent = Array.isArray(value) ? { result: value as unknown[] } : { ...value };
  return { content: [{ type: "text", text }], structuredContent };
}

export function toolError(message: string): CallToolResult {
  return { content: [{ type: "text", text: message }], isError: true };
}
