import { binaryFile } from "../build.ts";
import type { Item } from "./figure.ts";
import { compiledEmpty, compiledLimit } from "./limits.ts";
import type { Program } from "./program.ts";
import { Scene } from "./scene.ts";
import { summarise, takeTurns, timed } from "./statistics.ts";

const AIM = { of: "ratio", bound: 1.5 } as const;

/** How long the program takes to say its version, and a runner from the start of its process to its first poll. */
export const startUp: Item = {
  name: "start-up",
  async measure({ quick }) {
    await using scene = new Scene();
    using stub = new StubCoordinator();
    const rounds = { warmUp: 3, samples: quick ? 10 : 100 };
    const executor = scene.executor("nothing", "exit 0");
    const [empty, limit] = [await compiledEmpty(), await compiledLimit()];
    const untilPoll = (start: () => Program): Promise<number> => untilFirst(stub, "GET /runner/runs", start);

    const [version = [], nothing = []] = await takeTurns(
      rounds,
      () => untilExit(scene, [binaryFile, "--version"]),
      () => untilExit(scene, [empty]),
    );
    const [firstPoll = [], firstFetch = []] = await takeTurns(
      rounds,
      () => untilPoll(() => scene.startRunner(stub.url, executor, {})),
      () => untilPoll(() => scene.start([limit, "fetch", `${stub.url}/runner/runs`])),
    );
    const common = { item: "start-up", unit: "ms", better: "lower", aim: AIM } as const;
    return [
      {
        ...common,
        what: "--version",
        measured: summarise(version),
        limit: summarise(nothing),
        limitIs: "an empty compiled Bun program, from the start of its process to its exit",
      },
      {
        ...common,
        what: "process to first poll",
        measured: summarise(firstPoll),
        limit: summarise(firstFetch),
        limitIs: "a compiled Bun program that does nothing but send one request, from the start of its process to the request's arrival",
      },
    ];
  },
};

function untilExit(scene: Scene, command: readonly string[]): Promise<number> {
  return timed(() => scene.start(command).exited);
}

async function untilFirst(stub: StubCoordinator, call: string, start: () => Program): Promise<number> {
  const arrival = stub.arrivalOf(call);
  const begunMs = performance.now();
  const program = start();
  const ms = (await arrival) - begunMs;
  program.signal("SIGINT");
  const isGone = await Promise.race([program.exited.then(() => true), Bun.sleep(10_000).then(() => false)]);
  if (!isGone) program.signal("SIGKILL");
  await program.exited;
  return ms;
}

/** The few answers that a runner without runs needs, with the moment at which a call arrives. */
class StubCoordinator implements Disposable {
  readonly #server: Bun.Server<undefined>;
  readonly #awaited = new Map<string, (atMs: number) => void>();
  #endPoll: (() => void) | undefined;

  constructor() {
    this.#server = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch: (request) => this.#answer(request) });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  arrivalOf(call: string): Promise<number> {
    return new Promise((resolve) => this.#awaited.set(call, resolve));
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true);
  }

  #answer(request: Request): Response | Promise<Response> {
    const call = `${request.method} ${new URL(request.url).pathname}`;
    this.#awaited.get(call)?.(performance.now());
    this.#awaited.delete(call);
    if (call === "POST /runner/register") return Response.json({ runner_id: "lnch_bench", poll_timeout_seconds: 30, heartbeat_interval_seconds: 60 });
    if (call === "GET /runs") return Response.json({ runs: [] });
    if (call === "GET /runner/runs") return new Promise((resolve) => (this.#endPoll = () => resolve(Response.json({ deregistered: true }))));
    if (request.method === "DELETE") this.#endPoll?.();
    return Response.json({ ok: true });
  }
}
