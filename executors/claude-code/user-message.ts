import type { ClaudeSettings } from "./settings.ts";

/** A prompt as Claude Code reads it on stdin. */
export interface UserMessage {
  readonly type: "user";
  readonly message: { readonly role: "user"; readonly content: string };
  readonly parent_tool_use_id: null;
  readonly client_composed?: true;
}

/**
 * The one place that makes a user message of a prompt. A prompt is data: another agent, a webhook or a callback may
 * have written it. With `client_composed` Claude Code gives it to the model to the letter. Without that field a leading
 * `/` starts a command, and `@path` reads a file past all permissions. Only the setting `commands` allows this.
 */
export function userMessage(prompt: string, { commands }: Pick<ClaudeSettings, "commands">): UserMessage {
  return {
    type: "user",
    message: { role: "user", content: prompt },
    parent_tool_use_id: null,
    ...(commands ? {} : { client_composed: true }),
  };
}
