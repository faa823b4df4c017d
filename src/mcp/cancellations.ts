import { linked } from "../async/linked.ts";
import type { Caller } from "../gateway/caller.ts";

export const SESSION_HEADER = "mcp-session-id";

/**
 * Calls in flight that the client may cancel. A client cancels a call by closing the call's connection, or (before MCP
 * 2026) by `notifications/cancelled` in another request. Two clients of one agent may use the same call ids; the
 * session id from the answer to `initialize` distinguishes the clients.
 */
export class Cancellations {
  readonly #calls = new Map<string, Set<AbortController>>();

  begin(
    caller: Caller,
    headers: Headers,
    id: string | number,
    closed: AbortSignal,
  ): Disposable & { readonly signal: AbortSignal } {
    const key = keyOf(caller, headers, id);
    const controller = linked(closed);
    const same = this.#calls.get(key) ?? new Set();
    this.#calls.set(key, same.add(controller));
    return {
      signal: controller.signal,
      [Symbol.dispose]: () => {
        controller[Symbol.dispose]();
        same.delete(controller);
        if (same.size === 0 && this.#calls.get(key) === same) this.#calls.delete(key);
      },
    };
  }

  cancel(caller: Caller, headers: Headers, id: string | number): void {
    for (const controller of this.#calls.get(keyOf(caller, headers, id)) ?? []) controller.abort();
  }
}

function keyOf({ runId, sessionId }: Caller, headers: Headers, id: string | number): string {
  return JSON.stringify([runId, sessionId, headers.get(SESSION_HEADER), id]);
}
