import type { CallToolResult } from "@modelcontextprotocol/server";

/** Becomes an error result of the tool call. The agent reads the message, so it says what the agent can do. */
export class ToolError extends Error {
  override readonly name = "ToolError";
}

/**
 * A result as JSON text plus structured content. Structured content must be an object, so a list becomes `{result}`.
 */
export function toolResult(value: object, text: string = JSON.stringify(value)): CallToolResult {
  const structuredContent = Array.isArray(value) ? { result: value as unknown[] } : { ...value };
  return { content: [{ type: "text", text }], structuredContent };
}

export function toolError(message: string): CallToolResult {
  return { content: [{ type: "text", text: message }], isError: true };
}
