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
  readonly rebuild: () => void;
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
    rebuild: () => rebuildJournal(journal, runs, "own", log),
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

test("rebuildJournal: adds a run that only its folder knows, with its token and the gateway's port", () => {
  using at = state();
  at.record("run_a");
  at.rebuild();
  expect(at.journal.unfinished(recordedLog().log)).toMatchObject([
    { phase: "spawning", token: TOKEN, identity: null, assigned: { runId: "run_a", sessionId: "ses_1" } },
  ]);
  expect(at.journal.gatewayPort).toBe(23_456);
  expect(at.lines).toEqual([expect.stringContaining("Added 1 run(s) to the journal")]);
});

test("rebuildJournal: adds the executor's activity, and ignores a truncated file", () => {
  using at = state();
  const activity = {
    assistantMessageSent: true,
    sessionStopSent: false,
    sessionStopAt: null,
    resultSent: false,
    lastAssistantText: "said",
  };
  for (const runId of ["run_said", "run_cut", "run_gone"]) at.record(runId);
  activityRecorder("run_said", { journal: at.journal, runsFolder: at.runs })(activity);
  writeFileSync(join(at.runs, "run_cut", "activity.json"), '{"assistantMessageSent": tr');
  // Does not throw without a folder.
  activityRecorder("run_deleted", { journal: at.journal, runsFolder: at.runs })(activity);
  at.rebuild();
  const rebuilt = at.journal.unfinished(recordedLog().log).map((run) => [run.assigned.runId, run.activity]);
  expect(new Map(rebuilt as [string, unknown][])).toEqual(
    new Map<string, unknown>([
      ["run_said", activity],
      ["run_cut", null],
      ["run_gone", null],
    ]),
  );
  dropRunRecord(join(at.runs, "run_said"));
  expect(readdirSync(join(at.runs, "run_said"))).toEqual([]);
});

test("rebuildJournal: leaves known runs as they are, and logs nothing", () => {
  using at = state();
  at.journal.gatewayPort = 20_001;
  const done = at.record("run_done");
  at.journal.starting(assignedRun({ runId: "run_done" }), TOKEN);
  at.journal.done("run_done");
  const open = at.record("run_open");
  at.journal.starting(assignedRun({ runId: "run_open" }), TOKEN);
  at.journal.ended("run_open", { kind: "succeeded" });
  at.rebuild();
  expect(at.journal.unfinished(recordedLog().log)).toMatchObject([{ phase: "ended" }]);
  expect([done, open].map((folder) => existsSync(recordFileOf(folder)))).toEqual([false, true]);
  expect([at.journal.gatewayPort, at.lines]).toEqual([20_001, []]);
});

test("rebuildJournal: ignores another runner's runs and invalid files", () => {
  using at = state();
  at.record("run_other", "another");
  writeFileSync(recordFileOf(at.record("run_bad")), '{"owner": "own", "assigned"');
  writeFileSync(join(at.runs, "a-file"), "");
  at.rebuild();
  expect(at.journal.unfinished(recordedLog().log)).toEqual([]);
});

test("rebuildJournal: replaces an invalid row", () => {
  using at = state();
  at.record("run_a");
  at.journal.starting({ ...assignedRun({ runId: "run_a" }), sessionId: "no/session" }, TOKEN);
  at.rebuild();
  expect(at.journal.unfinished(recordedLog().log)).toMatchObject([
    { phase: "spawning", assigned: { sessionId: "ses_1" } },
  ]);
});

test("writeRunRecord: writes for this user only, without the prompt; dropRunRecord removes the file", () => {
  using at = state();
  const folder = at.record("run_a");
  expect(statSync(recordFileOf(folder)).mode & 0o777).toBe(0o600);
  expect(readFileSync(recordFileOf(folder), "utf8")).not.toContain("secret");
  dropRunRecord(folder);
  dropRunRecord(folder);
  expect(existsSync(recordFileOf(folder))).toBe(false);
});
