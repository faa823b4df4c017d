import { expect, test } from "bun:test";
import { CoordinatorClient } from "../../../src/client/coordinator-client.ts";
import { noAuthorization } from "../../../src/client/credentials.ts";
import { silentLog } from "../../../src/log.ts";
import type { PollMessage } from "../../../src/protocol/poll.ts";
import { Bell } from "../../../src/runner/runs/bell.ts";
import { Intake } from "../../../src/runner/runs/intake.ts";
import { Link } from "../../../src/runner/link/link.ts";
import type { LostClaims } from "../../../src/runner/polling/lost-claims.ts";
import { Poller } from "../../../src/runner/polling/poller.ts";
import type { Registration } from "../../../src/runner/link/registration.ts";
import { RunRegistry, type TakenRun } from "../../../src/runner/runs/run-registry.ts";
import { type StubServer, stubServer } from "../../client/stub-server.ts";
import { until } from "../../harness/until.ts";

const run = (id: string) => ({ run: { run_id: id, session_id: `ses_${id}`, type: "start_session", prompt: "p" } });

/** A poll that is open at the coordinator. */
interface OpenPoll {
  readonly stopsOnly: boolean;
  readonly signal: AbortSignal;
  readonly answer: (body: unknown, status?: number) => void;
}

interface Setup extends AsyncDisposable {
  readonly poller: Poller;
  readonly registry: RunRegistry;
  readonly runOutOfRoom: () => void;
  readonly findRoom: () => void;
  readonly messages: PollMessage[];
  readonly taken: TakenRun[];
  /** Everything of note in its order: looks, polls, registrations. */
  readonly trace: string[];
  readonly polling: Promise<void>;
  /** The next poll that arrives. */
  next(): Promise<OpenPoll>;
}

function setup(options: { limit?: number; takesCapacity?: boolean; look?: () => Promise<void> } = {}): Setup {
  const open: OpenPoll[] = [];
  const trace: string[] = [];
  const room = Promise.withResolvers<void>();
  const messages: PollMessage[] = [];
  const taken: TakenRun[] = [];
  const server: StubServer = stubServer(({ url }, request) => {
    const stopsOnly = url.includes("capacity=0");
    trace.push(stopsOnly ? "poll for stops" : "poll");
    const { promise, resolve } = Promise.withResolvers<Response>();
    const answer = (body: unknown, status = 200): void =>
      resolve(body === null ? new Response(null, { status }) : Response.json(body, { status }));
    open.push({ stopsOnly, signal: request.signal, answer });
    return promise;
  });
  const bell = new Bell();
  const registry = new RunRegistry(options.limit ?? 0, bell);
  const intake = new Intake({
    log: silentLog,
    requireRoom: () => room.promise,
    bell,
    checkIntervalMs: 1,
  });
  const poller = new Poller({
    coordinator: new CoordinatorClient(server.url, noAuthorization),
    registration: {
      runnerId: "lnch_1",
      pollTimeoutSeconds: 30,
      takesCapacity: options.takesCapacity ?? false,
      renew: () => Promise.resolve(void trace.push("renew")),
      lost: () => trace.push("lost"),
    } as unknown as Registration,
    registry,
    intake,
    bell,
    lostClaims: {
      lookIfDue: options.look ?? (() => Promise.resolve()),
      expect: (more?: { isGhostPossible: boolean }) => trace.push(more?.isGhostPossible ? "expect a ghost" : "expect"),
    } as unknown as LostClaims,
    link: new Link(silentLog, 0, () => {}),
    log: silentLog,
    onMessage(message) {
      messages.push(message);
      const one = message.kind === "run" ? registry.add(message.run) : null;
      if (one !== null) taken.push(one);
    },
  });
  const polling = poller.run();
  return {
    poller,
    registry,
    runOutOfRoom: () => intake.close(new Error("no room")),
    findRoom: () => room.resolve(),
    messages,
    taken,
    trace,
    polling,
    next: () => until("a poll", () => open.shift()),
    async [Symbol.asyncDispose]() {
      poller.abandon();
      intake[Symbol.dispose]();
      await polling;
      await server[Symbol.asyncDispose]();
    },
  };
}

function finish(one: TakenRun | undefined): void {
  one?.run.moveTo("reporting");
  one?.end({ remember: true });
}

test("Poller: one poll after the other, each message handed over before the next poll goes out", async () => {
  await using made = setup();
  (await made.next()).answer(run("run_1"));
  const second = await made.next();
  expect(made.messages).toMatchObject([{ kind: "run", run: { runId: "run_1" } }]);
  second.answer({ stop_runs: ["run_1"] });
  (await made.next()).answer(null, 204);
  await made.next();
  expect(made.messages.map(({ kind }) => kind)).toEqual(["run", "stops", "nothing"]);
});

test("Poller: a poll that may claim is not left when the runner wants to leave", async () => {
  await using made = setup();
  const open = await made.next();
  const claim = made.poller.openClaim;
  made.poller.stopTaking();
  expect(claim).not.toBeNull();
  expect(open.signal.aborted).toBe(false);
  open.answer(run("run_last"));
  await claim;
  // By now the run has been taken: whoever waited for the poll sees it.
  expect([made.registry.size, made.poller.openClaim]).toEqual([1, null]);
  expect(made.trace).toEqual(["poll"]);
});

test("Poller: does not poll at the limit, and goes on when a slot is free", async () => {
  await using made = setup({ limit: 1 });
  (await made.next()).answer(run("run_1"));
  await until("the run to be taken", () => made.taken.length === 1);
  await new Promise((resolve) => setImmediate(resolve));
  expect([made.poller.openClaim, made.trace]).toEqual([null, ["poll"]]);
  finish(made.taken[0]);
  expect((await made.next()).stopsOnly).toBe(false);
});

test("Poller: at the limit it polls for stops only where that is understood, and drops that poll for a free slot", async () => {
  await using made = setup({ limit: 1, takesCapacity: true });
  (await made.next()).answer(run("run_1"));
  const first = await made.next();
  expect([first.stopsOnly, made.poller.openClaim]).toEqual([true, null]);
  first.answer({ stop_runs: ["run_1"] });
  const second = await made.next();
  expect(made.messages.at(-1)).toMatchObject({ kind: "stops", runIds: ["run_1"] });
  finish(made.taken[0]);
  expect((await made.next()).stopsOnly).toBe(false);
  await until("the poll for stops to be dropped", () => second.signal.aborted);
});

test("Poller: stops are still fetched while the runner leaves", async () => {
  await using made = setup({ takesCapacity: true });
  (await made.next()).answer(run("run_1"));
  const claiming = await made.next();
  made.poller.stopTaking();
  claiming.answer(null, 204);
  const stops = await made.next();
  expect(stops.stopsOnly).toBe(true);
  stops.answer({ stop_runs: ["run_1"] });
  await until("the stop", () => made.messages.at(-1)?.kind === "stops");
});

test("Poller: looks for lost claims before it polls; whoever leaves waits for the look, and no poll follows", async () => {
  const looking = Promise.withResolvers<void>();
  await using made = setup({ look: () => looking.promise });
  const claim = made.poller.openClaim;
  expect([claim === null, made.trace]).toEqual([false, []]);
  made.poller.stopTaking();
  looking.resolve();
  await claim;
  await new Promise((resolve) => setImmediate(resolve));
  expect([made.trace, made.poller.openClaim]).toEqual([[], null]);
});

test("Poller: a look that takes the last slot is followed by no poll that may claim", async () => {
  const made: Setup = setup({
    limit: 1,
    look: () => {
      if (made.registry.size === 0) made.registry.add({ ...lost, runId: "run_lost" });
      return Promise.resolve();
    },
    takesCapacity: true,
  });
  await using _made = made;
  expect((await made.next()).stopsOnly).toBe(true);
});
const lost = {
  sessionId: "ses_1",
  type: "start_session",
  agentName: null,
  prompt: "",
  parameters: {},
  projectDir: null,
  parentSessionId: null,
  resolvedBlueprint: undefined,
  generation: "first",
} as const;

test("Poller: 401 registers again", async () => {
  await using made = setup();
  (await made.next()).answer({ detail: "Runner not registered" }, 401);
  (await made.next()).answer(null, 204);
  expect(made.trace.slice(0, 3)).toEqual(["poll", "renew", "poll"]);
});

test("Poller: after a poll that failed on the way, a ghost of it may have claimed", async () => {
  await using made = setup();
  (await made.next()).answer({ detail: "odd" }, 500);
  await made.next();
  expect(made.trace).toEqual(["poll", "expect a ghost", "poll"]);
});

test("Poller: deregistered ends it", async () => {
  await using made = setup();
  (await made.next()).answer({ deregistered: true });
  await made.polling;
  expect(made.trace).toEqual(["poll", "lost"]);
});

test("Poller.abandon: drops what is open and ends", async () => {
  await using made = setup();
  const open = await made.next();
  made.poller.abandon();
  await made.polling;
  await until("the poll to be dropped", () => open.signal.aborted);
});

test("Poller: without room it polls for stops alone where that is understood, and for runs as soon as there is room", async () => {
  await using at = setup({ takesCapacity: true });
  const first = await at.next();
  at.runOutOfRoom();
  first.answer(null, 204);
  const stops = await at.next();
  expect(stops.stopsOnly).toBe(true);
  at.findRoom();
  expect((await at.next()).stopsOnly).toBe(false);
  expect(stops.signal.aborted).toBe(true);
});

test("Poller: without room and a way to poll for stops alone it does not poll until there is room", async () => {
  await using at = setup();
  const first = await at.next();
  at.runOutOfRoom();
  first.answer(null, 204);
  const second = at.next();
  expect(await Promise.race([second, Bun.sleep(100).then(() => "no poll")])).toBe("no poll");
  at.findRoom();
  await second;
  expect(at.trace).toEqual(["poll", "poll"]);
});
