import { textsOf, toolResultsOf, toolUsesOf, type MessagesRequest } from "./request.ts";

/** The conversation so far, as a request to the API contains it. */
export interface History {
  /** The system prompt, with the reminders that were added to the conversation later. */
  readonly system: string;
  /** The names of the available tools. A tool of an MCP server is called `mcp__SERVER__TOOL`. */
  readonly tools: readonly string[];
  /** The user's prompts in order, without reminders: the first prompt, then the prompt of each resume. */
  readonly prompts: readonly string[];
  /** The tools' results, in order. */
  readonly toolResults: readonly { readonly tool: string; readonly text: string; readonly isError: boolean }[];
  /** The number of the assistant's earlier messages. */
  readonly replies: number;
  /** 1 for the first request with this history, higher for a client's retries. */
  readonly attempt: number;
}

const REMINDER = "<system-reminder>";

export function historyOf({ system, messages, tools }: MessagesRequest, attempt: number): History {
  const textsBy = (role: string): string[] =>
    messages.filter((message) => message.role === role).flatMap(({ content }) => textsOf(content));
  const names = new Map(messages.flatMap(({ content }) => toolUsesOf(content)).map(({ id, name }) => [id, name]));
  return {
    system: [...textsOf(system), ...textsBy("system"), ...textsBy("user").filter(isReminder)].join("\n"),
    tools: tools.map(({ name }) => name),
    prompts: textsBy("user").filter((text) => !isReminder(text)),
    toolResults: messages
      .flatMap(({ content }) => toolResultsOf(content))
      .map(({ tool_use_id, content, is_error }) => ({
        tool: names.get(tool_use_id) ?? "",
        text: textsOf(content).join("\n"),
        isError: is_error,
      })),
    replies: messages.filter(({ role }) => role === "assistant").length,
    attempt,
  };
}

function isReminder(text: string): boolean {
  return text.trimStart().startsWith(REMINDER);
}
