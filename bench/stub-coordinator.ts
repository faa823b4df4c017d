import type { Program } from "./program.ts";

/** A program's first poll. */
export interface FirstPoll<T> {
  readonly ms: number;
  /** The number of requests so far, this poll included. */
  readonly requests: number;
  /** The result of `inspect` at that moment. */
  readonly inspected: T;
}

const SHUTDOWN_MS = 10_000;

/** Answers only the requests of a runner without runs, and records when its first poll arrives. */
export class StubCoordinator implements Disposable {
  readonly #server: Bun.Server<undefined>;
  #onPoll: (() => void) | undefined;
  #endPoll: (() => void) | undefined;
  #requests = 0;

  constructor() {
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      idleTimeout: 0,
      fetch: (request) => this.#answer(request),
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  /** Starts a program, inspects it at its first poll, and shuts it down. */
  async untilPoll(start: () => Program): Promise<FirstPoll<undefined>>;
  async untilPoll<T>(start: () => Program, inspect: (program: Program) => T): Promise<FirstPoll<T>>;
  async untilPoll<T>(start: () => Program, inspect?: (program: Program) => T): Promise<FirstPoll<T | undefined>> {
    const arrival = Promise.withResolvers<FirstPoll<T | undefined>>();
    this.#requests = 0;
    const startMs = performance.now();
    const program = start();
    this.#onPoll = () =>
      arrival.resolve({ ms: performance.now() - startMs, requests: this.#requests, inspected: inspect?.(program) });
    const firstPoll = await arrival.promise;
    program.signal("SIGINT");
    const hasExited = await Promise.race([program.exited.then(() => true), Bun.sleep(SHUTDOWN_MS).then(() => false)]);
    if (!hasExited) program.signal("SIGKILL");
    await program.exited;
    return firstPoll;
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true);
  }

  #answer(request: Request): Response | Promise<Response> {
    const call = `${request.method} ${new URL(request.url).pathname}`;
    this.#requests++;
    if (call === "POST /runner/register")
      return Response.json({ runner_id: "lnch_bench", poll_timeout_seconds: 30, heartbeat_interval_seconds: 60 });
    if (call === "GET /runs") return Response.json({ runs: [] });
    if (call === "GET /runner/runs") {
      this.#onPoll?.();
      this.#onPoll = undefined;
      return new Promise((resolve) => (this.#endPoll = () => resolve(Response.json({ deregistered: true }))));
    }
    if (request.method === "DELETE") this.#endPoll?.();
    return Response.json({ ok: true });
  }
}
