import * as v from "valibot";
import { delay } from "../async/delay.ts";
import { readEventStream, type StreamMessage } from "../client/event-stream.ts";
import { type Api, ApiError } from "./api.ts";

/** What has happened, to which session, and whose child that is, where it is told. `null`: anything may have, for some of it was missed. */
export type News = { readonly type: string; readonly sessionId: string; readonly parentId: string | null } | null;
export type Listener = (news: News) => void;

/** Where a message names its session: at its top, in what it shows of the session, or in the event that it brings. */
const Named = v.looseObject({ session_id: v.optional(v.string()), parent_session_id: v.nullish(v.string(), null) });
const Told = v.looseObject({ session_id: v.optional(v.string()), session: v.optional(Named), data: v.optional(Named) });

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;
/** The coordinator gives a sign of life twice a minute. After a machine has slept, a connection that is none any more would be waited on for hours. */
const SILENCE_MS = 75_000;

/**
 * The one stream of what happens at the coordinator. It is only ever a sign that something is to be read again, or what is shown anyway: who
 * missed some of it reads all again.
 */
export class Live {
  readonly #api: Pick<Api, "open">;
  readonly #listeners = new Set<Listener>();
  readonly #watchers = new Set<() => void>();
  #lastId = "";
  /** Null before the first attempt has come to anything. */
  #isConnected: boolean | null = null;
  #run = new AbortController();

  constructor(api: Pick<Api, "open">) {
    this.#api = api;
  }

  /** False until there is a stream, and from when it has broken off until there is another. */
  get isConnected(): boolean {
    return this.#isConnected === true;
  }

  /** Gives back how to end that. */
  onNews(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  onConnection(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  /** Begins, or begins anew with another token. */
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
        // The login begins it anew.
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
    using silence = new Silence(signal);
    const response = await this.#api.open("/sse/sessions?include_init=false", { signal: silence.signal, headers });
    if (response.body === null) return;
    onOpen();
    this.#setConnected(true);
    // What happened before the first stream is not known either.
    if (this.#lastId === "") this.#tell(null);
    const heard = response.body.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({ transform: (chunk, to) => (silence.end(), to.enqueue(chunk)) }),
    );
    for await (const message of readEventStream(heard)) this.#take(message);
  }

  #take({ event, data, id }: StreamMessage): void {
    if (id !== "") this.#lastId = id;
    // The coordinator no longer knows what came after our last one: it has been started again, or we were away for long.
    if (event === "init") return this.#tell(null);
    const parsed = v.safeParse(Told, parseJson(data));
    if (!parsed.success) return;
    const { session_id, session, data: content } = parsed.output;
    this.#tell({
      type: event,
      sessionId: session_id ?? session?.session_id ?? content?.session_id ?? "",
      parentId: session?.parent_session_id ?? null,
    });
  }

  #tell(news: News): void {
    for (const listener of this.#listeners) listener(news);
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

/** Its signal fires when nothing has been heard for too long, or with another signal. */
class Silence implements Disposable {
  readonly #over = new AbortController();
  readonly #give = (): void => this.#over.abort();
  readonly #outer: AbortSignal;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(outer: AbortSignal) {
    this.#outer = outer;
    outer.addEventListener("abort", this.#give, { once: true });
    this.end();
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** Something was heard. */
  end(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#give, SILENCE_MS);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#outer.removeEventListener("abort", this.#give);
  }
}
