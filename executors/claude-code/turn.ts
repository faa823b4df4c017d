import type { Message, ToolUse, TurnResult, Usage } from "./messages.ts";

/** Why the executor ended a turn before its time. The first reason counts. */
export type Cut = "stopped" | "credentials-refused" | "usage-limit" | "stalled" | "background";

/** What a run has shown of itself so far; everything that is decided about it is decided from here. */
export class Turn {
  sessionId: string | null = null;
  model = "";
  version = "";
  /** Names and states of MCP servers that were not there when the agent began. */
  unconnected: readonly string[] = [];
  /** Of the turn that has ended last, while no other has begun: Claude Code goes on by itself when a background task has ended. */
  result: TurnResult | null = null;
  /** The agent's last whole text, and what there is of the one that it is writing. */
  lastText = "";
  unfinishedText = "";
  /** What the provider has refused with most recently: a kind of Claude Code's (`rate_limit`, `overloaded`, ...) and a status. */
  trouble: { readonly status: number | null; readonly error: string } | null = null;
  limit: { readonly isRejected: boolean; readonly type: string | null; readonly resetsAtMs: number | null } | null =
    null;
  /** What runs in the background now, in words. */
  background: readonly string[] = [];
  /** Whether something has run there in this turn: Claude Code may then go on after its result. */
  usedBackground = false;
  /** The kind of error that stands in place of the agent's last words. */
  errorKind: string | null = null;
  figures: Figures = {
    turns: 0,
    durationMs: 0,
    usage: { costUsd: 0, inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 },
  };
  cut: Cut | null = null;
  /** What the stream of messages ended with, if with an error. */
  thrown: unknown = null;

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
        this.#hear(message);
        break;
      case "tool-results":
        for (const { id } of message.results) {
          this.#running.delete(id);
          if (message.parent === null) this.#lastToolUse = id;
        }
        break;
      case "answer":
        this.unfinishedText = "";
        break;
      case "piece":
        this.unfinishedText += message.text;
        break;
      case "retry":
        this.trouble = { status: message.status, error: message.error };
        if (message.status === 401 || message.error === "authentication_failed") this.#refusedCredentials++;
        break;
      case "rate-limit":
        this.limit = message;
        break;
      case "background":
        this.background = message.tasks;
        this.usedBackground ||= message.tasks.length > 0;
        break;
      case "result":
        this.result = message.result;
        this.figures = sum(this.figures, message.result);
        break;
      case "other":
        break;
    }
  }

  /** The tool uses whose results have not come. */
  get toolsRunning(): number {
    return this.#running.size;
  }

  /** A tool use whose result has not been observed yet. */
  toolUse(id: string): ToolUse | undefined {
    return this.#running.get(id);
  }

  /**
   * Whether the provider does not accept who we are. Behind a login one refusal is none yet: Claude Code renews an expired token and asks
   * again. An API key does not get better.
   */
  get areCredentialsRefused(): boolean {
    return this.#refusedCredentials > (this.#hasApiKey ? 0 : 1);
  }

  /** The tools that were refused, if the last thing that the agent tried was one of them: it ended before a closed door. */
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

  #hear({ parts, error, parent }: Message & { kind: "assistant" }): void {
    for (const part of parts) if (typeof part !== "string") this.#running.set(part.id, part);
    if (parent !== null) return;
    this.unfinishedText = "";
    this.errorKind = error;
    const text = parts.findLast((part) => typeof part === "string");
    if (error === null && text !== undefined) this.lastText = text;
  }
}

/** Of the whole run: it may have several turns. */
export interface Figures {
  readonly turns: number;
  readonly durationMs: number;
  readonly usage: Usage;
}

function sum(before: Figures, { turns, durationMs, usage }: TurnResult): Figures {
  const add = (field: keyof Usage): number => before.usage[field] + usage[field];
  return {
    turns: before.turns + turns,
    durationMs: before.durationMs + durationMs,
    usage: {
      costUsd: add("costUsd"),
      inputTokens: add("inputTokens"),
      outputTokens: add("outputTokens"),
      cacheReadTokens: add("cacheReadTokens"),
      cacheWriteTokens: add("cacheWriteTokens"),
    },
  };
}
