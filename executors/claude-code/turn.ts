import { clip } from "../../src/errors.ts";
import type { Message, ToolUse, TurnResult, Usage } from "./messages.ts";
import type { Obstacle } from "./preflight.ts";

/** Why the executor aborted a turn. */
export type AbortReason = "stopped" | "credentials-refused" | "usage-limit" | "stalled" | "background" | "blocked";

/** The observed state of a run. All decisions about the run depend on this state. */
export class Turn {
  sessionId: string | null = null;
  model = "";
  version = "";
  /** Names and states of MCP servers that were not connected when the agent began. */
  unconnected: readonly string[] = [];
  /**
   * The result of the last turn. Null again once Claude Code begins another turn, after a background task has ended.
   */
  result: TurnResult | null = null;
  /** The agent's last complete text. */
  lastText = "";
  /** The part of the next text that has arrived. */
  partialText = "";
  /** The provider's last error: its HTTP status, and Claude Code's name for it (`rate_limit`, `overloaded`, ...). */
  lastError: { readonly status: number | null; readonly error: string } | null = null;
  limit: { readonly isRejected: boolean; readonly type: string | null; readonly resetsAtMs: number | null } | null =
    null;
  /** Descriptions of the current background tasks. */
  background: readonly string[] = [];
  /** Whether this turn had background tasks: Claude Code may then continue after its result. */
  usedBackground = false;
  /** The kind of error if the agent's last text is an error of the provider. */
  errorKind: string | null = null;
  totals: Totals = {
    turns: 0,
    durationMs: 0,
    usage: { costUsd: 0, inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 },
  };
  abortReason: AbortReason | null = null;
  /** Why the prompt was not sent. */
  obstacle: Obstacle | null = null;
  /** Whether a model answered at all: a run without any answer of a model is no success. */
  hasModelAnswer = false;
  /** Why Claude Code's process failed; null while it runs, and after exit code 0. */
  thrown: Error | null = null;
  /** Lines of Claude Code that are no messages. */
  unreadable: { readonly count: number; readonly first: string } | null = null;

  readonly #running = new Map<string, ToolUse>();
  #hasApiKey = true;
  #refusedCredentials = 0;
  #lastToolUse: string | null = null;

  observe(message: Message): void {
    switch (message.kind) {
      case "init":
        this.#begin(message);
        break;
      case "assistant":
        this.#addAssistantMessage(message);
        break;
      case "tool-results":
        for (const { id } of message.results) {
          this.#running.delete(id);
          if (message.parent === null) this.#lastToolUse = id;
        }
        break;
      case "answer-start":
        this.partialText = "";
        break;
      case "delta":
        this.partialText += message.text;
        break;
      case "retry":
        this.lastError = { status: message.status, error: message.error };
        if (message.status === 401 || message.error === "authentication_failed") this.#refusedCredentials++;
        break;
      case "rate-limit":
        this.limit = message;
        break;
      case "background":
        // An aborted Claude Code ends its tasks, which the ending still has to name.
        if (this.abortReason !== null) break;
        this.background = message.tasks;
        this.usedBackground ||= message.tasks.length > 0;
        break;
      case "result":
        this.result = message.result;
        this.totals = add(this.totals, message.result);
        // A command may leave the whole work to a subagent, whose texts do not arrive.
        this.hasModelAnswer ||= message.result.usage.outputTokens > 0;
        break;
      case "other":
        break;
    }
  }

  observeUnreadable(line: string): void {
    this.unreadable = { count: (this.unreadable?.count ?? 0) + 1, first: this.unreadable?.first ?? clip(line) };
  }

  /** Number of tool uses without a result. */
  get toolsRunning(): number {
    return this.#running.size;
  }

  /** A tool use that has no observed result yet. */
  toolUse(id: string): ToolUse | undefined {
    return this.#running.get(id);
  }

  /**
   * Whether the provider rejects the credentials. With a login, one rejection does not count: Claude Code renews an
   * expired token and retries. An API key cannot be renewed.
   */
  get areCredentialsRefused(): boolean {
    return this.#refusedCredentials > (this.#hasApiKey ? 0 : 1);
  }

  /** The denied tools if the agent's last tool use was denied: the agent then ended without its tool. */
  get refusedTools(): readonly string[] {
    const denials = this.result?.denials ?? [];
    return denials.some(({ id }) => id === this.#lastToolUse) ? [...new Set(denials.map(({ tool }) => tool))] : [];
  }

  #begin(init: Message & { kind: "init" }): void {
    this.sessionId ??= init.sessionId;
    this.model = init.model;
    this.version = init.version;
    this.unconnected = init.unconnected;
    this.#hasApiKey = init.hasApiKey;
    this.result = null;
    this.usedBackground = this.background.length > 0;
  }

  #addAssistantMessage({ parts, error, parent, isFromModel }: Message & { kind: "assistant" }): void {
    this.hasModelAnswer ||= isFromModel && error === null;
    for (const part of parts) if (typeof part !== "string") this.#running.set(part.id, part);
    if (parent !== null) return;
    this.partialText = "";
    this.errorKind = error;
    const text = parts.findLast((part) => typeof part === "string");
    if (error === null && isFromModel && text !== undefined) this.lastText = text;
  }
}

/** Sums over all turns of the run. */
export interface Totals {
  readonly turns: number;
  readonly durationMs: number;
  readonly usage: Usage;
}

function add(before: Totals, { turns, durationMs, usage }: TurnResult): Totals {
  const sum = (field: keyof Usage): number => before.usage[field] + usage[field];
  return {
    turns: before.turns + turns,
    durationMs: before.durationMs + durationMs,
    usage: {
      costUsd: sum("costUsd"),
      inputTokens: sum("inputTokens"),
      outputTokens: sum("outputTokens"),
      cacheReadTokens: sum("cacheReadTokens"),
      cacheWriteTokens: sum("cacheWriteTokens"),
    },
  };
}
