import { withDeadline } from "../async/delay.ts";
import { Semaphore } from "../async/semaphore.ts";
import type { CoordinatorClient } from "../client/coordinator-client.ts";
import type { TraceFields } from "../protocol/trace-context.ts";
import { messageText, type SessionEvent } from "../protocol/session.ts";
import { SessionTree } from "./own-tree.ts";

/** What a run has told the coordinator about itself so far; only what the coordinator acknowledged counts. */
export interface Activity {
  assistantMessageSent: boolean;
  sessionStopSent: boolean;
  resultSent: boolean;
  /** The last assistant message, at most 64 Ki characters of it. */
  lastAssistantText: string;
}

const KEPT_CHARACTERS = 64 * 1024;
const IN_FLIGHT_WAIT_MS = 5_000;
const MAX_IN_FLIGHT = 50;

const NOTHING_SENT: Activity = {
  assistantMessageSent: false,
  sessionStopSent: false,
  resultSent: false,
  lastAssistantText: "",
};

export interface Earlier {
  readonly token: string;
  readonly activity: Activity | null;
}

function newToken(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(24))).toString("base64url");
}

/** What one run may do at the gateway: its token, its tree of sessions, what it has sent. Dies with the run. */
export class Grant {
  readonly token: string;
  readonly tree: SessionTree;
  readonly activity: Activity;
  /** Bounds what this run alone may have in flight: its streams must not keep others from being answered. */
  readonly slots = new Semaphore(MAX_IN_FLIGHT);
  /** Its creations of runs take turns. */
  readonly creations = new Semaphore(1);
  /** The trace that the run is part of, and with it what it starts. */
  trace: TraceFields = {};
  /** Calls that were refused so far. */
  refusals = 0;
  readonly #ended = new AbortController();
  readonly #inFlight = new Set<Promise<unknown>>();

  constructor(
    readonly runId: string,
    readonly sessionId: string,
    coordinator: CoordinatorClient,
    /** Called after each change of `activity`. */
    readonly onActivity: (activity: Activity) => void,
    /** What an earlier start of the runner gave the run and knew of it. */
    earlier: Earlier | null = null,
  ) {
    this.token = earlier?.token ?? newToken();
    this.activity = { ...(earlier?.activity ?? NOTHING_SENT) };
    this.tree = new SessionTree(coordinator, sessionId);
  }

  /** Fires when the token is dead: streams that are still open end. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  end(): void {
    this.#ended.abort();
  }

  /** Keeps account of a write that is on its way, up to the note that is taken of it. */
  async during<T>(write: Promise<T>): Promise<T> {
    this.#inFlight.add(write);
    try {
      return await write;
    } finally {
      this.#inFlight.delete(write);
    }
  }

  noteEvent(event: Pick<SessionEvent, "event_type" | "role" | "content" | "session_id">): void {
    if (event.event_type === "session_stop") this.activity.sessionStopSent = true;
    if (event.event_type === "result") this.activity.resultSent = true;
    if (event.event_type === "message" && event.role === "assistant") {
      this.activity.assistantMessageSent = true;
      this.activity.lastAssistantText = messageText(event).slice(-KEPT_CHARACTERS);
    }
    if (["session_stop", "result", "message"].includes(event.event_type)) this.onActivity(this.activity);
  }

  /** Waits for writes that an executor sent just before it ended: what it said last must come before the report of its end. */
  async settled(): Promise<void> {
    if (this.#inFlight.size > 0) await withDeadline(Promise.allSettled(this.#inFlight), IN_FLIGHT_WAIT_MS);
  }
}
