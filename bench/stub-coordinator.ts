import type { Program } from "./program.ts";

/** What was seen of a program until its first poll arrived. */
export interface FirstPoll<T> {
  readonly ms: number;
  /** Requests that it sent, that poll included. */
  readonly requests: number;
  /** What `look` gave in that moment. */
  readonly seen: T;
}

const LEAVE_MS = 10_000;

/** The few answers that a runner without runs needs, with the moment at which its first poll arrives. */
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

  /** Starts a program, has a look at it when it polls for the first time, and lets it leave. */
  async untilPoll(start: () => Program): Promise<FirstPoll<undefined>>;
  async untilPoll<T>(start: () => Program, look: (program: Program) => T): Promise<FirstPoll<T>>;
  async untilPoll<T>(start: () => Program, look?: (program: Program) => T): Promise<FirstPoll<T | undefined>> {
    const arrival = Promise.withResolvers<FirstPoll<T | undefined>>();
    this.#requests = 0;
    const begunMs = performance.now();
    const program = start();
    this.#onPoll = () =>
      arrival.resolve({ ms: performance.now() - begunMs, requests: this.#requests, seen: look?.(program) });
    const polled = await arrival.promise;
    program.signal("SIGINT");
    const isGone = await Promise.race([program.exited.then(() => true), Bun.sleep(LEAVE_MS).then(() => false)]);
    if (!isGone) program.signal("SIGKILL");
    await program.exited;
    return polled;
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
