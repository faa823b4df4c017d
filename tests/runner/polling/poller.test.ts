import { expect, test } from "bun:test";
import { CoordinatorClient } from "../../../src/client/coordinator-client.ts";
import { noAuthorization } from "../../harness/authorization.ts";
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
  /** Checks, polls and registrations, in order. */
  readonly trace: string[];
  readonly polling: Promise<void>;
  /** The next poll that arrives. */
  next(): Promise<OpenPoll>;
}

function setup(options: { limit?: number; takesCapacity?: boolean; check?: () => Promise<void> } = {}): Setup {
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
      checkIfDue: options.check ?? (() => Promise.resolve()),
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

test("Poller: polls one after the other, and handles each message before the next poll", async () => {
  await using made = setup();
  (await made.next()).answer(run("run_1"));
  const second = await made.next();
  expect(made.messages).toMatchObject([{ kind: "run", run: { runId: "run_1" } }]);
  second.answer({ stop_runs: ["run_1"] });
  (await made.next()).answer(null, 204);
  await made.next();
  expect(made.messages.map(({ kind }) => kind)).toEqual(["run", "stops", "nothing"]);
});

test("Poller: a leaving runner does not abandon a poll that may claim", async () => {
  await using made = setup();
  const open = await made.next();
  const claim = made.poller.openClaim;
  made.poller.stopTaking();
  expect(claim).not.toBeNull();
  expect(open.signal.aborted).toBe(false);
  open.answer(run("run_last"));
  await claim;
  // The run is taken by now, so a caller that waited for the poll sees it.
  expect([made.registry.size, made.poller.openClaim]).toEqual([1, null]);
  expect(made.trace).toEqual(["poll"]);
});

test("Poller: does not poll at the limit, and continues when a slot is free", async () => {
  await using made = setup({ limit: 1 });
  (await made.next()).answer(run("run_1"));
  await until("the run to be taken", () => made.taken.length === 1);
  await new Promise((resolve) => setImmediate(resolve));
  expect([made.poller.openClaim, made.trace]).toEqual([null, ["poll"]]);
  finish(made.taken[0]);
  expect((await made.next()).stopsOnly).toBe(false);
});

test("Poller: at the limit polls for stops alone, and abandons that poll for a free slot", async () => {
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

test("Poller: polls for stops while the runner leaves", async () => {
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

test("Poller: checks for lost claims before a poll; a leaving runner waits for the check only", async () => {
  const checking = Promise.withResolvers<void>();
  await using made = setup({ check: () => checking.promise });
  const claim = made.poller.openClaim;
  expect([claim === null, made.trace]).toEqual([false, []]);
  made.poller.stopTaking();
  checking.resolve();
  await claim;
  await new Promise((resolve) => setImmediate(resolve));
  expect([made.trace, made.poller.openClaim]).toEqual([[], null]);
});

test("Poller: no poll that may claim follows a check that takes the last slot", async () => {
  const made: Setup = setup({
    limit: 1,
    check: () => {
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

test("Poller: registers again after a 401", async () => {
  await using made = setup();
  (await made.next()).answer({ detail: "Runner not registered" }, 401);
  (await made.next()).answer(null, 204);
  expect(made.trace.slice(0, 3)).toEqual(["poll", "renew", "poll"]);
});

test("Poller: expects a ghost poll after a poll whose connection failed", async () => {
  await using made = setup();
  (await made.next()).answer({ detail: "odd" }, 500);
  await made.next();
  expect(made.trace).toEqual(["poll", "expect a ghost", "poll"]);
});

test("Poller: ends when the runner is deregistered", async () => {
  await using made = setup();
  (await made.next()).answer({ deregistered: true });
  await made.polling;
  expect(made.trace).toEqual(["poll", "lost"]);
});

test("Poller.abandon: abandons the open poll and ends", async () => {
  await using made = setup();
  const open = await made.next();
  made.poller.abandon();
  await made.polling;
  await until("the poll to be dropped", () => open.signal.aborted);
});

test("Poller: without room polls for stops alone, and for runs as soon as there is room", async () => {
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

test("Poller: without room does not poll a coordinator that cannot be polled for stops alone", async () => {
  await using at = setup();
  const first = await at.next();
  at.runOutOfRoom();
  first.answer(null, 204);
  const second = at.next();
  // Time for a poll that must not come.
  expect(await Promise.race([second, Bun.sleep(100).then(() => "no poll")])).toBe("no poll");
  at.findRoom();
  await second;
  expect(at.trace).toEqual(["poll", "poll"]);
});
