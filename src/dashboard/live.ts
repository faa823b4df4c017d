import * as v from "valibot";
import { delay } from "../async/delay.ts";
import { readEventStream, type StreamMessage } from "../client/event-stream.ts";
import { type Api, ApiError } from "./api.ts";

/** What has happened: to which session, and what is told of it. `null`: anything may have, for some of it was missed. */
export type News = { readonly type: string; readonly sessionId: string; readonly data: Readonly<Record<string, unknown>> } | null;
export type Listener = (news: News) => void;

const Told = v.looseObject({ session_id: v.optional(v.string()), session: v.optional(v.looseObject({ session_id: v.string() })) });

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;

/**
 * The one stream of what happens at the coordinator. It is only ever a sign that something is to be read again, or what is shown anyway: who
 * missed some of it reads all again.
 */
export class Live {
  readonly #api: Api;
  readonly #listeners = new Set<Listener>();
  readonly #watchers = new Set<() => void>();
  #lastId = "";
  #isConnected = false;
  #hasBeenConnected = false;
  #run = new AbortController();

  constructor(api: Api) {
    this.#api = api;
  }

  /** False from when the stream has broken off until there is another. */
  get isConnected(): boolean {
    return this.#isConnected;
  }

  get hasBeenConnected(): boolean {
    return this.#hasBeenConnected;
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
    this.#run.abort();
    this.#run = new AbortController();
    void this.#keepReading(this.#run.signal);
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
    const response = await this.#api.open("/sse/sessions?include_init=false", { signal, headers });
    if (response.body === null) return;
    onOpen();
    this.#setConnected(true);
    // What happened before the first stream is not known either.
    if (this.#lastId === "") this.#tell(null);
    for await (const message of readEventStream(response.body)) this.#take(message);
  }

  #take({ event, data, id }: StreamMessage): void {
    if (id !== "") this.#lastId = id;
    // The coordinator no longer knows what came after our last one: it has been started again, or we were away for long.
    if (event === "init") return this.#tell(null);
    const parsed = v.safeParse(Told, parseJson(data));
    if (!parsed.success) return;
    const { session_id, session, ...rest } = parsed.output;
    this.#tell({ type: event, sessionId: session_id ?? session?.session_id ?? "", data: { ...rest, session_id, session } });
  }

  #tell(news: News): void {
    for (const listener of this.#listeners) listener(news);
  }

  #setConnected(isConnected: boolean): void {
    if (isConnected === this.#isConnected && this.#hasBeenConnected) return;
    this.#isConnected = isConnected;
    this.#hasBeenConnected ||= isConnected;
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
