import type { CoordinatorClient } from "../client/coordinator-client.ts";
import { CoordinatorFailure } from "../client/failure.ts";

/** Treats a longer chain of parents as a cycle. */
const MAX_DEPTH = 64;

/**
 * A run's own session with its descendants. Remembers sessions that the run created, and reads others from the
 * coordinator.
 */
export class SessionTree {
  readonly #coordinator: CoordinatorClient;
  readonly #members: Set<string>;
  #rootIsKnown = false;

  constructor(
    coordinator: CoordinatorClient,
    readonly root: string,
  ) {
    this.#coordinator = coordinator;
    this.#members = new Set([root]);
  }

  add(sessionId: string): void {
    this.#members.add(sessionId);
  }

  async has(sessionId: string): Promise<boolean> {
    const chain: string[] = [];
    for (let at: string | null = sessionId; at !== null && chain.length < MAX_DEPTH; at = await this.#parentOf(at)) {
      if (this.#members.has(at)) {
        for (const member of chain) this.#members.add(member);
        return true;
      }
      chain.push(at);
    }
    return false;
  }

  /** All current members of the tree. */
  async all(): Promise<ReadonlySet<string>> {
    const children = new Map<string, string[]>();
    for (const { session_id, parent_session_id } of await this.#coordinator.sessions()) {
      if (parent_session_id !== null)
        children.set(parent_session_id, [...(children.get(parent_session_id) ?? []), session_id]);
    }
    const found = new Set(this.#members);
    // Iterating over a Set includes members added during the iteration.
    for (const member of found) for (const child of children.get(member) ?? []) found.add(child);
    return found;
  }

  /**
   * Whether the coordinator knows the run's own session. An unknown parent in `POST /runs` locks the database of a
   * Python coordinator for good (`docs/protocol.md`, section 0).
   */
  async rootExists(): Promise<boolean> {
    this.#rootIsKnown ||= await this.#exists(this.root);
    return this.#rootIsKnown;
  }

  async #exists(sessionId: string): Promise<boolean> {
    try {
      await this.#coordinator.session(sessionId);
      return true;
    } catch (error) {
      if (error instanceof CoordinatorFailure && error.status === 404) return false;
      throw error;
    }
  }

  async #parentOf(sessionId: string): Promise<string | null> {
    try {
      return (await this.#coordinator.session(sessionId)).parent_session_id;
    } catch (error) {
      if (error instanceof CoordinatorFailure && error.status === 404) return null;
      throw error;
    }
  }
}
