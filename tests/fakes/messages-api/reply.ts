/** A part of what the assistant says. */
export type Block =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "tool_use"; readonly name: string; readonly input: Readonly<Record<string, unknown>> };

/** How a message reaches the client. */
export interface Manner {
  /** The message has begun, and its first block comes when this resolves: the assistant thinks. */
  readonly after?: Promise<unknown>;
  /** Waited for after each delta, the first of which is 1: the assistant writes slowly, or stops in the middle of it. */
  readonly pause?: (deltas: number) => Promise<unknown>;
  /** The connection is dropped after so many deltas. */
  readonly cutAfterDeltas?: number;
  readonly inputTokens?: number;
  readonly outputTokens?: number;
}

/** An error answer, in the provider's form. */
export interface Refusal {
  readonly kind: "refusal";
  readonly status: number;
  readonly error: string;
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What the stand-in does with one request. */
export type Reply =
  | { readonly kind: "message"; readonly blocks: readonly Block[]; readonly manner: Manner }
  | Refusal
  /** Never an answer: not even headers, or a message that begins and does not go on. */
  | { readonly kind: "stall"; readonly where: "before-headers" | "in-the-message" }
  | { readonly kind: "drop" };

export function text(words: string): Block {
  return { type: "text", text: words };
}

export function toolUse(name: string, input: Readonly<Record<string, unknown>> = {}): Block {
  return { type: "tool_use", name, input };
}

/** Several blocks in one message. */
export function message(blocks: readonly Block[], manner: Manner = {}): Reply {
  return { kind: "message", blocks, manner };
}

export function says(words: string, manner: Manner = {}): Reply {
  return message([text(words)], manner);
}

export function uses(name: string, input: Readonly<Record<string, unknown>> = {}, manner: Manner = {}): Reply {
  return message([toolUse(name, input)], manner);
}

const ERRORS: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  429: "rate_limit_error",
  500: "api_error",
  529: "overloaded_error",
};

/** `headers` of a 429: `retry-after` (seconds), `anthropic-ratelimit-unified-*`. */
export function refuses(
  status: number,
  words = `refused with ${status}`,
  headers: Readonly<Record<string, string>> = {},
): Refusal {
  return { kind: "refusal", status, error: ERRORS[status] ?? "api_error", message: words, headers };
}

export function stalls(where: "before-headers" | "in-the-message" = "before-headers"): Reply {
  return { kind: "stall", where };
}

export function drops(): Reply {
  return { kind: "drop" };
}
