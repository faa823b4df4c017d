/** One block of the assistant's message. */
export type Block =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "tool_use"; readonly name: string; readonly input: Readonly<Record<string, unknown>> };

/** How the message is sent to the client. */
export interface Manner {
  /** Delays the first block of the started message until this resolves: the assistant thinks. */
  readonly after?: Promise<unknown>;
  /** Awaited after each delta, counted from 1: the assistant writes slowly, or stops in the middle. */
  readonly pause?: (deltas: number) => Promise<unknown>;
  /** Drops the connection after this number of deltas. */
  readonly cutAfterDeltas?: number;
  readonly inputTokens?: number;
  readonly outputTokens?: number;
}

/** An error answer in the provider's shape. */
export interface Refusal {
  readonly kind: "refusal";
  readonly status: number;
  readonly error: string;
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** The fake's reply to one request. */
export type Reply =
  | { readonly kind: "message"; readonly blocks: readonly Block[]; readonly manner: Manner }
  | Refusal
  /** No answer at all, or a message that starts and never continues. */
  | { readonly kind: "stall"; readonly where: "before-headers" | "in-the-message" }
  | { readonly kind: "drop" };

export function text(content: string): Block {
  return { type: "text", text: content };
}

export function toolUse(name: string, input: Readonly<Record<string, unknown>> = {}): Block {
  return { type: "tool_use", name, input };
}

/** Several blocks in one message. */
export function message(blocks: readonly Block[], manner: Manner = {}): Reply {
  return { kind: "message", blocks, manner };
}

export function says(content: string, manner: Manner = {}): Reply {
  return message([text(content)], manner);
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

/** A 429 can have the headers `retry-after` (seconds) and `anthropic-ratelimit-unified-*`. */
export function refuses(
  status: number,
  reason = `refused with ${status}`,
  headers: Readonly<Record<string, string>> = {},
): Refusal {
  return { kind: "refusal", status, error: ERRORS[status] ?? "api_error", message: reason, headers };
}

export function stalls(where: "before-headers" | "in-the-message" = "before-headers"): Reply {
  return { kind: "stall", where };
}

export function drops(): Reply {
  return { kind: "drop" };
}
