import { withDeadline } from "../async/delay.ts";
import { Semaphore } from "../async/semaphore.ts";
import type { CoordinatorClient } from "../client/coordinator-client.ts";
import { RisingTime } from "../protocol/rising-time.ts";
import type { TraceFields } from "../protocol/trace-context.ts";
import { messageText, type SessionEvent } from "../protocol/session.ts";
import { SessionTree } from "./own-tree.ts";

/** The events that a run has sent so far, as far as the coordinator has acknowledged them. */
export interface Activity {
  assistantMessageSent: boolean;
  sessionStopSent: boolean;
  /** The time in the `session_stop` that was sent last, whether or not it was acknowledged. */
  sessionStopAt: string | null;
  resultSent: boolean;
  /** The end of the last assistant message, at most 64 Ki characters. */
  lastAssistantText: string;
}

const KEPT_CHARACTERS = 64 * 1024;
const IN_FLIGHT_WAIT_MS = 5_000;
const MAX_IN_FLIGHT = 50;

const NOTHING_SENT: Activity = {
  assistantMessageSent: false,
  sessionStopSent: false,
  sessionStopAt: null,
  resultSent: false,
  lastAssistantText: "",
};

/** Stands for the run of an agent outside of all runs. */
export const OUTSIDE = "outside";

export interface Earlier {
  readonly token: string;
  readonly activity: Activity | null;
}

/** 32 characters: the tag of the gateway, then at least 20 random bytes in base64url. */
export function newToken(tag: string): string {
  return (
    tag +
    Buffer.from(crypto.getRandomValues(new Uint8Array(24)))
      .toString("base64url")
      .slice(tag.length)
  );
}

type NotedEvent = Pick<SessionEvent, "event_type" | "role" | "content" | "session_id" | "timestamp"> & {
  readonly limited_until?: unknown;
};

/** The permissions of one run at the gateway: its token, its tree of sessions and its activity. Ends with the run. */
export class Grant {
  readonly token: string;
  readonly tree: SessionTree;
  readonly activity: Activity;
  /** The times of the events that the runner adds to those of the executor. */
  readonly eventTime = new RisingTime();
  /** Bounds the requests in flight of this run, so that its streams cannot block other runs. */
  readonly slots = new Semaphore(MAX_IN_FLIGHT);
  /**
   * Admits one large body at a time: until it is forwarded, it takes several times its size. Per run: a body that never
   * ends holds up no other run.
   */
  readonly largeBodies = new Semaphore(1);
  /** Serializes the creation of runs. */
  readonly creations = new Semaphore(1);
  /** The trace of the run, and by default of the runs that it creates. */
  trace: TraceFields = {};
  /** The folder that the run was submitted with; null: it works in the runner's. */
  projectDir: string | null = null;
  /** Whether the executor has sent anything. Not known of an earlier process of the runner. */
  hasWritten = false;
  /**
   * Whether the executor has begun to work, which happens once: it sent more than the events around a turn, or created,
   * stopped or deleted something. Set before the call is forwarded. Not known of an earlier process.
   */
  hasWorked = false;
  /** Until when the executor cannot do any run, as it said: a limit of its credentials. Null: it said nothing. */
  limitedUntilMs: number | null = null;
  /** Number of refused calls. */
  refusals = 0;
  readonly #stops = new Semaphore(1);
  readonly #coordinator: CoordinatorClient;
  readonly #ended = new AbortController();
  readonly #inFlight = new Set<Promise<unknown>>();

  constructor(
    readonly runId: string,
    readonly sessionId: string,
    coordinator: CoordinatorClient,
    /** Called after each change of `activity`. */
    readonly onActivity: (activity: Activity) => void,
    /** The token and activity of an adopted run. */
    earlier: Earlier | null = null,
    /** How the tokens of this gateway begin. */
    tag = "",
  ) {
    this.token = earlier?.token ?? newToken(tag);
    this.activity = { ...(earlier?.activity ?? NOTHING_SENT) };
    this.tree = new SessionTree(coordinator, sessionId);
    this.#coordinator = coordinator;
  }

  /** Fires when the token becomes invalid; open streams then end. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  end(): void {
    this.#ended.abort();
  }

  /** Tracks a write in flight until its effect is in `activity`. */
  async track<T>(write: Promise<T>): Promise<T> {
    this.hasWritten = true;
    this.#inFlight.add(write);
    try {
      return await write;
    } finally {
      this.#inFlight.delete(write);
    }
  }

  /**
   * Calls `send`, which sends a `session_stop` of the run, unless one has arrived: then null. If the answer to an
   * earlier one was lost, asks the coordinator first: one of the first generation calls the parent back for each.
   */
  sendStop<T>({ timestamp }: Pick<SessionEvent, "timestamp">, send: () => Promise<T>): Promise<T | null> {
    return this.#stops.hold(async () => {
      if (await this.#hasStopped()) return null;
      this.activity.sessionStopAt = timestamp ?? null;
      this.onActivity(this.activity);
      return await send();
    });
  }

  async #hasStopped(): Promise<boolean> {
    const { activity, sessionId } = this;
    if (activity.sessionStopSent || activity.sessionStopAt === null) return activity.sessionStopSent;
    const earlier = { event_type: "session_stop", timestamp: activity.sessionStopAt };
    activity.sessionStopSent = await this.#coordinator.hasEvent(sessionId, earlier);
    return activity.sessionStopSent;
  }

  noteEvent(event: NotedEvent): void {
    this.eventTime.follow(event.timestamp);
    const limitedUntilMs = Date.parse(String(event.limited_until));
    if (!Number.isNaN(limitedUntilMs)) this.limitedUntilMs = limitedUntilMs;
    if (event.event_type === "session_stop") this.activity.sessionStopSent = true;
    if (event.event_type === "result") this.activity.resultSent = true;
    if (event.event_type === "message" && event.role === "assistant") {
      this.activity.assistantMessageSent = true;
      this.activity.lastAssistantText = messageText(event).slice(-KEPT_CHARACTERS);
    }
    if (["session_stop", "result", "message"].includes(event.event_type)) this.onActivity(this.activity);
  }

  /** Waits for writes in flight: the last events of an executor must arrive before the report of its end. */
  async settled(): Promise<void> {
    if (this.#inFlight.size > 0) await withDeadline(Promise.allSettled(this.#inFlight), IN_FLIGHT_WAIT_MS);
  }
}
