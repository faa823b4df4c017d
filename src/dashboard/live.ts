import * as v from "valibot";
import { delay } from "../async/delay.ts";
import { linked } from "../async/linked.ts";
import { readEventStream, type StreamMessage } from "../client/event-stream.ts";
import { type Api, ApiError } from "./api.ts";

/** A change at the coordinator. `parentId` is null if the message names no parent. */
export interface Change {
  readonly type: string;
  readonly sessionId: string;
  readonly parentId: string | null;
}
/** Receives null if changes were missed: anything may have changed. */
export type Listener = (change: Change | null) => void;

const Named = v.looseObject({ session_id: v.optional(v.string()), parent_session_id: v.nullish(v.string(), null) });
/** A message names its session at the top level, in its copy of the session, or in its event. */
const Message = v.looseObject({
  session_id: v.optional(v.string()),
  session: v.optional(Named),
  data: v.optional(Named),
});

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;
/**
 * The coordinator sends a keep-alive every 30 s. Without this limit, a connection that died while the machine slept
 * would stay open for hours.
 */
const SILENCE_MS = 75_000;

/** The page's one event stream. A change only triggers a new read, so missed changes cost nothing but a full read. */
export class Live {
  readonly #api: Pick<Api, "open">;
  readonly #listeners = new Set<Listener>();
  readonly #watchers = new Set<() => void>();
  #lastId = "";
  /** Null until the first attempt succeeds or fails. */
  #isConnected: boolean | null = null;
  #run = new AbortController();

  constructor(api: Pick<Api, "open">) {
    this.#api = api;
  }

  get isConnected(): boolean {
    return this.#isConnected === true;
  }

  /** Returns the function that unsubscribes. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  onConnection(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  /** Connects; a second call reconnects with the current token. */
  start(): void {
    this.stop();
    this.#run = new AbortController();
    void this.#keepReading(this.#run.signal);
  }

  stop(): void {
    this.#run.abort();
  }

  async #keepReading(signal: AbortSignal): Promise<void> {
    let retryMs = FIRST_RETRY_MS;
    while (!signal.aborted) {
      try {
        await this.#read(signal, () => (retryMs = FIRST_RETRY_MS));
      } catch (error) {
        // The login calls start() again.
        if (error instanceof ApiError && error.status === 401) return;
      }
      if (signal.aborted) return;
      this.#setConnected(false);
      await delay(retryMs, signal);
      retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
    }
  }

  async #read(signal: AbortSignal, onOpen: () => void): Promise<void> {
    const headers: Record<string, string> = this.#lastId === "" ? {} : { "last-event-id": this.#lastId };
    using silence = new SilenceTimeout(signal);
    const response = await this.#api.open("/sse/sessions?include_init=false", { signal: silence.signal, headers });
    if (response.body === null) return;
    onOpen();
    this.#setConnected(true);
    // Changes between the first reads and the first stream are missed.
    if (this.#lastId === "") this.#emit(null);
    const chunks = response.body.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({ transform: (chunk, to) => (silence.reset(), to.enqueue(chunk)) }),
    );
    for await (const message of readEventStream(chunks)) this.#onMessage(message);
  }

  #onMessage({ event, data, id }: StreamMessage): void {
    if (id !== "") this.#lastId = id;
    // The coordinator cannot resume after `lastId`: it restarted, or the page was disconnected too long.
    if (event === "init") return this.#emit(null);
    const parsed = v.safeParse(Message, parseJson(data));
    if (!parsed.success) return;
    const { session_id, session, data: content } = parsed.output;
    this.#emit({
      type: event,
      sessionId: session_id ?? session?.session_id ?? content?.session_id ?? "",
      parentId: session?.parent_session_id ?? null,
    });
  }

  #emit(change: Change | null): void {
    for (const listener of this.#listeners) listener(change);
  }

  #setConnected(isConnected: boolean): void {
    if (isConnected === this.#isConnected) return;
    this.#isConnected = isConnected;
    for (const watcher of this.#watchers) watcher();
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The signal fires after SILENCE_MS without a reset, or with the outer signal. */
class SilenceTimeout implements Disposable {
  readonly #controller: ReturnType<typeof linked>;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(outer: AbortSignal) {
    this.#controller = linked(outer);
    this.reset();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  reset(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#controller.abort(), SILENCE_MS);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#controller[Symbol.dispose]();
  }
}
