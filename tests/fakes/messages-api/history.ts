import { textsOf, toolResultsOf, toolUsesOf, type MessagesRequest } from "./request.ts";

/** All that the assistant has before it when it is asked what comes next. */
export interface History {
  /** The system prompt, with the reminders that were put into the conversation later. */
  readonly system: string;
  /** Names of the tools on offer; one of an MCP server is called `mcp__SERVER__TOOL`. */
  readonly tools: readonly string[];
  /** What the user said, in order: the first prompt, those of each resume. Reminders are not among them. */
  readonly prompts: readonly string[];
  /** What the tools answered, in order. */
  readonly toolResults: readonly { readonly tool: string; readonly text: string; readonly isError: boolean }[];
  /** How many messages the assistant has said before. */
  readonly replies: number;
  /** 1 when this is asked for the first time, more when a client tries again. */
  readonly attempt: number;
}

const REMINDER = "<system-reminder>";

export function historyOf({ system, messages, tools }: MessagesRequest, attempt: number): History {
  const said = (role: string): string[] =>
    messages.filter((message) => message.role === role).flatMap(({ content }) => textsOf(content));
  const names = new Map(messages.flatMap(({ content }) => toolUsesOf(content)).map(({ id, name }) => [id, name]));
  return {
    system: [...textsOf(system), ...said("system"), ...said("user").filter(isReminder)].join("\n"),
    tools: tools.map(({ name }) => name),
    prompts: said("user").filter((text) => !isReminder(text)),
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
