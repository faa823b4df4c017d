import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { recordFileOf } from "../../../src/process/run-folders.ts";
import { Journal } from "../../../src/runner/journal/journal.ts";
import {
  activityRecorder,
  dropRunRecord,
  rebuildJournal,
  writeRunRecord,
} from "../../../src/runner/execution/run-record.ts";
import { tempFolder } from "../../harness/temp-folder.ts";
import { assignedRun } from "../assigned-run.ts";
import { recordedLog } from "../recorded-log.ts";

const TOKEN = "a-token-of-some-length";

interface State extends Disposable {
  readonly journal: Journal;
  readonly runs: string;
  readonly lines: string[];
  readonly recover: () => void;
  record(runId: string, owner?: string): string;
}

function state(): State {
  const folder = tempFolder();
  const { log, lines } = recordedLog();
  const journal = Journal.open(join(folder.path, "journal.sqlite"), log);
  const runs = join(folder.path, "runs");
  mkdirSync(runs);
  return {
    journal,
    runs,
    lines,
    recover: () => rebuildJournal(journal, runs, "own", log),
    record(runId, owner = "own") {
      mkdirSync(join(runs, runId));
      writeRunRecord(join(runs, runId), owner, 23_456, TOKEN, assignedRun({ runId, prompt: "a secret plan" }));
      return join(runs, runId);
    },
    [Symbol.dispose]() {
      journal[Symbol.dispose]();
      folder[Symbol.dispose]();
    },
  };
}

test("rebuildJournal: a run that only its folder knows was spawned, with its token; the gateway's port comes back with it", () => {
  using at = state();
  at.record("run_a");
  at.recover();
  expect(at.journal.unfinished(recordedLog().log)).toMatchObject([
    { phase: "spawning", token: TOKEN, identity: null, assigned: { runId: "run_a", sessionId: "ses_1" } },
  ]);
  expect(at.journal.gatewayPort).toBe(23_456);
  expect(at.lines).toEqual([expect.stringContaining("Found 1 run(s) that the journal does not know")]);
});

test("rebuildJournal: what the executor had sent comes back; half a record of it is none", () => {
  using at = state();
  const activity = { assistantMessageSent: true, sessionStopSent: false, resultSent: false, lastAssistantText: "said" };
  for (const runId of ["run_said", "run_cut", "run_gone"]) at.record(runId);
  activityRecorder("run_said", { journal: at.journal, runsFolder: at.runs })(activity);
  writeFileSync(join(at.runs, "run_cut", "activity.json"), '{"assistantMessageSent": tr');
  // Nothing to write into, and no harm done.
  activityRecorder("run_deleted", { journal: at.journal, runsFolder: at.runs })(activity);
  at.recover();
  const recovered = at.journal.unfinished(recordedLog().log).map((run) => [run.assigned.runId, run.activity]);
  expect(new Map(recovered as [string, unknown][])).toEqual(
    new Map<string, unknown>([
      ["run_said", activity],
      ["run_cut", null],
      ["run_gone", null],
    ]),
  );
  dropRunRecord(join(at.runs, "run_said"));
  expect(readdirSync(join(at.runs, "run_said"))).toEqual([]);
});

test("rebuildJournal: what the journal knows is left as it is, and said nothing of", () => {
  using at = state();
  at.journal.gatewayPort = 20_001;
  const through = at.record("run_through");
  at.journal.starting(assignedRun({ runId: "run_through" }), TOKEN);
  at.journal.done("run_through");
  const open = at.record("run_open");
  at.journal.starting(assignedRun({ runId: "run_open" }), TOKEN);
  at.journal.ended("run_open", { kind: "succeeded" });
  at.recover();
  expect(at.journal.unfinished(recordedLog().log)).toMatchObject([{ phase: "ended" }]);
  expect([through, open].map((folder) => existsSync(recordFileOf(folder)))).toEqual([false, true]);
  expect([at.journal.gatewayPort, at.lines]).toEqual([20_001, []]);
});

test("rebuildJournal: another runner's runs, and files that make no sense, are none of ours", () => {
  using at = state();
  at.record("run_other", "another");
  writeFileSync(recordFileOf(at.record("run_bad")), '{"owner": "own", "assigned"');
  writeFileSync(join(at.runs, "a-file"), "");
  at.recover();
  expect(at.journal.unfinished(recordedLog().log)).toEqual([]);
});

test("rebuildJournal: a row that makes no sense is made anew", () => {
  using at = state();
  at.record("run_a");
  at.journal.starting({ ...assignedRun({ runId: "run_a" }), sessionId: "no/session" }, TOKEN);
  at.recover();
  expect(at.journal.unfinished(recordedLog().log)).toMatchObject([
    { phase: "spawning", assigned: { sessionId: "ses_1" } },
  ]);
});

test("writeRunRecord: for this user alone, without the prompt; dropRunRecord: gone", () => {
  using at = state();
  const folder = at.record("run_a");
  expect(statSync(recordFileOf(folder)).mode & 0o777).toBe(0o600);
  expect(readFileSync(recordFileOf(folder), "utf8")).not.toContain("secret");
  dropRunRecord(folder);
  dropRunRecord(folder);
  expect(existsSync(recordFileOf(folder))).toBe(false);
});
