import type { Caller } from "../gateway/caller.ts";

export const SESSION_HEADER = "mcp-session-id";

/**
 * Calls that are under way and may be given up. A client gives up a call by another request (`notifications/cancelled`, before 2026) or by
 * closing the connection that the call came on. Ids of calls are each client's own: what tells two clients of one agent apart is the
 * session id that the answer to `initialize` gave each.
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
    const controller = new AbortController();
    const same = this.#calls.get(key) ?? new Set();
    this.#calls.set(key, same.add(controller));
    const abort = (): void => controller.abort();
    closed.addEventListener("abort", abort, { once: true });
    if (closed.aborted) abort();
    return {
      signal: controller.signal,
      [Symbol.dispose]: () => {
        closed.removeEventListener("abort", abort);
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
