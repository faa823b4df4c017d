import { describe, expect, test } from "bun:test";
import type { CoordinatorClient, HeartbeatWord } from "../../../src/client/coordinator-client.ts";
import { silentLog } from "../../../src/log.ts";
import type { PollMessage } from "../../../src/protocol/poll.ts";
import type { Moment, Reconciled } from "../../../src/protocol/runner.ts";
import type { Registration } from "../../../src/runner/link/registration.ts";
import { Reconciler } from "../../../src/runner/polling/reconcile.ts";
import { Bell } from "../../../src/runner/runs/bell.ts";
import type { Outcome } from "../../../src/runner/runs/outcome.ts";
import { RunRegistry } from "../../../src/runner/runs/run-registry.ts";
import { assignedRun } from "../assigned-run.ts";

const NOW: Moment = { epoch: "e1", moves: 3 };

function scene(answers: readonly Partial<Reconciled>[], journal: Readonly<Record<string, Outcome>> = {}) {
  const words: HeartbeatWord[] = [];
  const messages: PollMessage[] = [];
  const told: string[] = [];
  const registry = new RunRegistry(0, new Bell());
  const left = [...answers];
  const coordinator = {
    heartbeat(_: string, word: HeartbeatWord) {
      words.push(word);
      return Promise.resolve({ moment: NOW, runs: [], asked: [], is_restored: false, ...left.shift() });
    },
    run: (run_id: string) =>
      Promise.resolve({
        run_id,
        session_id: "ses_1",
        type: "start_session",
        prompt: "p",
        status: "claimed",
        runner_id: "r",
      }),
  } as unknown as CoordinatorClient;
  const records = {
    outcomeOf: (runId: string) => journal[runId] ?? null,
    isHere: (runId: string) => runId in journal,
    seen: NOW as Moment | null,
  };
  const reconciler = new Reconciler({
    coordinator,
    registration: { runnerId: "r", reconciles: true } as Registration,
    registry,
    journal: records,
    fault: () => null,
    log: silentLog,
    onMessage: (message) => messages.push(message),
    reportAgain: (runId, outcome) => Promise.resolve(void told.push(`${runId} ${outcome.kind}`)),
    reportUnknown: (runId) => Promise.resolve(void told.push(`${runId} unknown`)),
  });
  const take = (runId: string) => registry.add(assignedRun({ runId }));
  return { reconciler, registry, take, words, messages, told, records };
}

const own = (run_id: string, status: string) => ({ run_id, status, is_own: true });
const SUCCEEDED: Outcome = { kind: "succeeded" };

describe("Reconciler", () => {
  test("names each held run with its state, and the claimed ones for their leases", async () => {
    const at = scene([{}]);
    at.take("run_a");
    at.take("run_b")?.run.moveTo("reporting");
    await at.reconciler.exchange({ isQuiet: false });
    expect(at.words).toEqual([
      {
        claimedRunIds: ["run_a"],
        held: [
          { run_id: "run_a", state: "claimed" },
          { run_id: "run_b", state: "reporting" },
        ],
        seen: NOW,
      },
    ]);
  });

  test("ends a held run that is no longer its own, and only if it has not ended", async () => {
    const at = scene([{ runs: ["run_a", "run_b"].map((run_id) => ({ run_id, status: "failed", is_own: false })) }]);
    const running = at.take("run_a");
    const reporting = at.take("run_b");
    reporting?.run.moveTo("reporting");
    await at.reconciler.exchange({ isQuiet: false });
    expect(running?.run.cancelReason).toEqual({ kind: "revoked" });
    expect(reporting?.run.cancelReason).toBeNull();
  });

  test.each(["claimed", "running", "stopping"])(
    "reports the outcome of a run that is %s there and ended here",
    async (status) => {
      const at = scene([{ runs: [own("run_a", status)] }], { run_a: SUCCEEDED });
      await at.reconciler.exchange({ isQuiet: false });
      expect(at.told).toEqual(["run_a succeeded"]);
    },
  );

  test("reports a run that is running there and unknown here as lost; a stop of one is handed on", async () => {
    const at = scene([{ runs: [own("run_a", "running"), own("run_b", "stopping")] }]);
    await at.reconciler.exchange({ isQuiet: false });
    expect(at.told).toEqual(["run_a unknown"]);
    expect(at.messages).toEqual([{ kind: "stops", runIds: ["run_b"], sessionIds: [] }]);
  });

  test("executes a claim that never arrived only while no poll may still bring it", async () => {
    const runs = [own("run_a", "claimed")];
    const at = scene([{ runs }, { runs }]);
    await at.reconciler.exchange({ isQuiet: false });
    expect(at.messages).toEqual([]);
    await at.reconciler.exchange({ isQuiet: true });
    expect(at.messages).toMatchObject([{ kind: "run", run: { runId: "run_a" } }]);
  });

  test("says again what it holds to another process of the coordinator", async () => {
    const at = scene([{}]);
    at.records.seen = { epoch: "e0", moves: 9 };
    await at.reconciler.exchange({ isQuiet: false });
    expect(at.words.map(({ seen }) => seen)).toEqual([{ epoch: "e0", moves: 9 }, NOW]);
  });

  test("after a restore tells the outcomes that it is asked for, then says that it has answered", async () => {
    const at = scene([{ is_restored: true, asked: ["run_a", "run_x"] }, {}], { run_a: SUCCEEDED });
    await at.reconciler.exchange({ isQuiet: false });
    expect(at.told).toEqual(["run_a succeeded"]);
    expect(at.words.map(({ answered }) => answered)).toEqual([undefined, "e1"]);
  });

  test("says that it has answered only after it was asked", async () => {
    const at = scene([{}, {}]);
    await at.reconciler.exchange({ isQuiet: false });
    await at.reconciler.exchange({ isQuiet: false });
    expect(at.words.map(({ answered }) => answered)).toEqual([undefined, undefined]);
  });
});
