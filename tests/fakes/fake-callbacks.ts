import type { FakeSession, QueuedRun } from "./fake-runs.ts";

/** How a child session ended. */
interface Ending {
  readonly sessionId: string;
  readonly status: "completed" | "failed";
  readonly text: string;
}

/**
 * Callbacks as the Python coordinators deliver them (`docs/protocol.md`, section 12): at once to a finished parent
 * without a resume in flight, else together when the parent's session ends next. Memory only. A resume that fails
 * stays in flight for good: their fault, kept here.
 */
export class FakeCallbacks {
  readonly #waiting = new Map<string, Ending[]>();
  readonly #resumed = new Set<string>();

  constructor(
    readonly sessions: ReadonlyMap<string, FakeSession>,
    readonly queue: (run: QueuedRun) => unknown,
  ) {}

  /** Call when a child may have ended: each call is one more ending. */
  childEnded(child: FakeSession, status: Ending["status"], text: string): void {
    const { parent_session_id: parentId, execution_mode } = child;
    if (parentId === null || execution_mode !== "async_callback") return;
    this.#waiting.set(parentId, [
      ...(this.#waiting.get(parentId) ?? []),
      { sessionId: child.session_id, status, text },
    ]);
    this.#deliver(parentId);
  }

  /** Call when a run of the session has ended well: its resume is over, and what waits is delivered. */
  sessionFinished(sessionId: string): void {
    this.#resumed.delete(sessionId);
    this.#deliver(sessionId);
  }

  #deliver(parentId: string): void {
    const endings = this.#waiting.get(parentId) ?? [];
    const parent = this.sessions.get(parentId);
    if (endings.length === 0 || parent?.status !== "finished" || this.#resumed.has(parentId)) return;
    this.#waiting.delete(parentId);
    this.#resumed.add(parentId);
    const { session_id, parent_session_id, execution_mode } = parent;
    // Without the agent's name, as theirs.
    this.queue({ type: "resume_session", session_id, parent_session_id, execution_mode, prompt: messageOf(endings) });
  }
}

function messageOf(endings: readonly Ending[]): string {
  const parts = endings.map(
    ({ sessionId, status, text }) =>
      `<agent-callback session="${sessionId}" status="${status}">\n${text}\n</agent-callback>`,
  );
  return [...parts, "Please continue."].join("\n");
}
