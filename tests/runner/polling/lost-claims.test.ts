import { afterEach, expect, jest, test } from "bun:test";
import { CoordinatorClient } from "../../../src/client/coordinator-client.ts";
import { noAuthorization } from "../../harness/authorization.ts";
import type { PollMessage } from "../../../src/protocol/poll.ts";
import { Hooks } from "../../../src/runner/polling/hooks.ts";
import { LostClaims } from "../../../src/runner/polling/lost-claims.ts";
import { Reconciler } from "../../../src/runner/polling/reconcile.ts";
import type { Registration } from "../../../src/runner/link/registration.ts";
import { Bell } from "../../../src/runner/runs/bell.ts";
import { RunRegistry } from "../../../src/runner/runs/run-registry.ts";
import { silentLog } from "../../../src/log.ts";
import { type StubServer, stubServer } from "../../client/stub-server.ts";
import { until } from "../../harness/until.ts";
import { assignedRun } from "../assigned-run.ts";

afterEach(() => {
  jest.useRealTimers();
});

const GRACE_MS = 50;

const RUN = {
  run_id: "run_1",
  session_id: "ses_1",
  type: "start_session",
  prompt: "p",
  status: "claimed",
  runner_id: "lnch_1",
};

function lostClaimsAt(
  coordinator: StubServer,
  registry = new RunRegistry(0, new Bell()),
): { lostClaims: LostClaims; messages: PollMessage[] } {
  const messages: PollMessage[] = [];
  const parts = {
    coordinator: new CoordinatorClient(coordinator.url, noAuthorization),
    registration: { runnerId: "lnch_1", pollTimeoutSeconds: 30, reconciles: false } as Registration,
    log: silentLog,
  };
  const onMessage = (message: PollMessage): void => void messages.push(message);
  const reconciler = new Reconciler({
    ...parts,
    registry,
    onMessage,
    journal: { outcomeOf: () => null, isHere: () => false, seen: null },
    fault: () => null,
    reportAgain: () => Promise.resolve(),
    reportUnknown: () => Promise.resolve(),
  });
  const hooks = new Hooks(parts.coordinator, GRACE_MS);
  const lostClaims = new LostClaims({ ...parts, registry, reconciler, onMessage, hooks });
  return { lostClaims, messages };
}

/** The number of checks so far. Each asks once for stops; the probes for ghosts ask for claims only. */
function checksAt(coordinator: StubServer): number {
  return coordinator.received.filter(({ url }) => url.includes("status=stopping")).length;
}

const empty = (): StubServer => stubServer(() => Response.json({ runs: [] }));

test("LostClaims: passes on the claimed runs that this runner does not know, and no others", async () => {
  const registry = new RunRegistry(0, new Bell());
  registry.add(assignedRun({ runId: "run_known" }));
  const rows = [
    { ...RUN, run_id: "run_known" },
    { ...RUN, run_id: "run_lost" },
    { ...RUN, run_id: "run_running", status: "running" },
    { ...RUN, run_id: "run_pending", status: "pending", runner_id: null },
    { ...RUN, run_id: "run_other", runner_id: "lnch_2" },
    { ...RUN, run_id: "run_bad", prompt: 5 },
  ];
  await using coordinator = stubServer(() => Response.json({ runs: rows }));
  const { lostClaims, messages } = lostClaimsAt(coordinator, registry);
  await lostClaims.checkIfDue();
  expect(messages).toMatchObject([{ kind: "run", run: { runId: "run_lost", prompt: "p" } }]);
  expect(coordinator.received[0]?.url).toBe("/runs?status=claimed&runner_id=lnch_1");
});

test("LostClaims: passes on the stop of a run that is not cancelled or was never here, and no other", async () => {
  const registry = new RunRegistry(0, new Bell());
  registry.add(assignedRun({ runId: "run_running_here" }));
  registry.add(assignedRun({ runId: "run_cancelled" }))?.run.cancel({ kind: "stop-command" });
  registry.add(assignedRun({ runId: "run_reporting" }))?.run.moveTo("reporting");
  registry.remember(["run_done"]);
  const runIds = ["run_running_here", "run_cancelled", "run_reporting", "run_done", "run_unknown"];
  const rows = [
    ...runIds.map((run_id) => ({ ...RUN, run_id, status: "stopping" })),
    { ...RUN, run_id: "run_other", status: "stopping", runner_id: "lnch_2" },
    { ...RUN, run_id: "run_running", status: "running" },
  ];
  await using coordinator = stubServer(() => Response.json({ runs: rows }));
  const { lostClaims, messages } = lostClaimsAt(coordinator, registry);
  await lostClaims.checkIfDue();
  expect(messages).toEqual(
    ["run_running_here", "run_unknown"].map((runId) => ({ kind: "stops", runIds: [runId], sessionIds: [] })),
  );
  expect(coordinator.received[1]?.url).toBe("/runs?status=stopping&runner_id=lnch_1");
});

test("LostClaims: checks at the start, then only after expect()", async () => {
  await using coordinator = empty();
  const { lostClaims } = lostClaimsAt(coordinator);
  for (let i = 0; i < 3; i++) await lostClaims.checkIfDue();
  expect(checksAt(coordinator)).toBe(1);
  lostClaims.expect();
  for (let i = 0; i < 3; i++) await lostClaims.checkIfDue();
  expect(checksAt(coordinator)).toBe(2);
});

test("LostClaims: a failed check stays due", async () => {
  const answers = [500, 200, 500, 200, 200, 200];
  await using coordinator = stubServer(() => Response.json({ runs: [] }, { status: answers.shift() ?? 500 }));
  const { lostClaims } = lostClaimsAt(coordinator);
  for (let i = 0; i < 5; i++) await lostClaims.checkIfDue();
  expect(coordinator.received.map(({ url }) => /status=(\w+)/.exec(url)?.[1])).toEqual([
    "claimed",
    "claimed",
    "stopping",
    "claimed",
    "stopping",
    "running",
  ]);
});

test("LostClaims: leaves a claim to its hook, and fails it if the hook must say yes and says nothing", async () => {
  const run = { ...RUN, prompt: null, parameters: { prompt: "p" }, agent_name: "guarded" };
  const hook = { agent_name: "guard", timeout_seconds: 300, on_error: "block" };
  await using coordinator = stubServer(({ url }) =>
    Response.json(
      url.startsWith("/agents/") ? { name: "guarded", hooks: { on_run_start: hook } } : { runs: [run], events: [] },
    ),
  );
  const { lostClaims, messages } = lostClaimsAt(coordinator);
  await lostClaims.checkIfDue();
  expect([messages, await lostClaims.countInHook({ isProbe: false, openSinceMs: 0 })]).toEqual([[], 1]);
  hook.timeout_seconds = 0;
  await until("a word about the run", async () => {
    await lostClaims.checkIfDue();
    return messages.length > 0;
  });
  expect(messages).toMatchObject([{ kind: "bad-run", runId: "run_1", fault: expect.stringContaining("hook") }]);
  expect(await lostClaims.countInHook({ isProbe: false, openSinceMs: 0 })).toBe(0);
});

/** Counts the checks in each of the next `minutes`, with one poll every 30 s. */
async function checksPerMinute(lostClaims: LostClaims, coordinator: StubServer, minutes: number): Promise<number[]> {
  const checks: number[] = [];
  for (let minute = 0; minute < minutes; minute++) {
    const before = checksAt(coordinator);
    for (const halfMs of [30_000, 30_000]) {
      jest.advanceTimersByTime(halfMs);
      await lostClaims.checkIfDue();
    }
    checks.push(checksAt(coordinator) - before);
  }
  return checks;
}

test("LostClaims: checks again when a ghost poll must have ended", async () => {
  await using coordinator = empty();
  const { lostClaims } = lostClaimsAt(coordinator);
  await lostClaims.checkIfDue();
  jest.useFakeTimers();
  lostClaims.expect({ isGhostPossible: true });
  await lostClaims.checkIfDue();
  expect(checksAt(coordinator)).toBe(2);
  jest.advanceTimersByTime(34_000);
  await lostClaims.checkIfDue();
  expect(checksAt(coordinator)).toBe(2);
  jest.advanceTimersByTime(1_100);
  await lostClaims.checkIfDue();
  expect(checksAt(coordinator)).toBe(3);
});

test("LostClaims: checks every five minutes, and not more often after extra checks", async () => {
  await using coordinator = empty();
  const { lostClaims } = lostClaimsAt(coordinator);
  await lostClaims.checkIfDue();
  jest.useFakeTimers();
  for (let i = 0; i < 8; i++) {
    lostClaims.expect({ isGhostPossible: true });
    await lostClaims.checkIfDue();
    jest.advanceTimersByTime(31_000);
  }
  await checksPerMinute(lostClaims, coordinator, 2);
  const checks = await checksPerMinute(lostClaims, coordinator, 20);
  expect(checks.reduce((sum, count) => sum + count, 0)).toBe(4);
});
