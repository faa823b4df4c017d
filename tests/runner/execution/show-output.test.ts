import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { OutputShown } from "../../../src/protocol/run-output.ts";
import type { RunnerParts } from "../../../src/runner/execution/runner-parts.ts";
import { showOutput } from "../../../src/runner/execution/show-output.ts";
import { tempFolder } from "../../harness/temp-folder.ts";

/** The output that the coordinator gets, for a run that is over or not. */
async function shown(runsFolder: string, isOver: boolean): Promise<OutputShown | undefined> {
  let sent: OutputShown | undefined;
  const parts = {
    runsFolder,
    config: { outputLimitBytes: 0 },
    registration: { id: async () => "lnch_1" },
    coordinator: { sendOutput: async (_: string, body: OutputShown) => void (sent = body) },
  };
  await showOutput(
    { request_id: "r", run_id: "run_1", stdout_from: 0, stderr_from: 0, bytes: 100 },
    isOver,
    parts as unknown as RunnerParts,
  );
  return sent;
}

test("showOutput: sends empty output before a run begins, and null after its folder is removed", async () => {
  using folder = tempFolder();
  const nothing = { from: 0, to: 0, size: 0, text: "" };
  expect(await shown(folder.path, false)).toEqual({
    runner_id: "lnch_1",
    request_id: "r",
    output: { stdout: nothing, stderr: nothing },
  });
  expect((await shown(folder.path, true))?.output).toBeNull();
  mkdirSync(join(folder.path, "run_1"));
  for (const name of ["stdout", "stderr"]) writeFileSync(join(folder.path, "run_1", name), name);
  expect((await shown(folder.path, true))?.output).toMatchObject({
    stdout: { text: "stdout" },
    stderr: { text: "stderr" },
  });
});
