import { join } from "node:path";
import { describeError } from "../../errors.ts";
import { readOutputPart } from "../../process/output-part.ts";
import type { OutputShown, OutputWanted } from "../../protocol/run-output.ts";
import type { RunnerParts } from "./runner-parts.ts";

/**
 * Sends what somebody wants to see of a run's output. Once: whoever waits for it asks again. The folder's name is a run's id, so that nothing else can be
 * asked for; the runner keeps it for a while after the run's end.
 */
export async function showOutput(
  wanted: OutputWanted,
  isOver: boolean,
  { coordinator, registration, runsFolder, config, log }: RunnerParts,
): Promise<void> {
  const output = readOutput(join(runsFolder, wanted.run_id), wanted, { limitBytes: config.outputLimitBytes, isOver });
  try {
    await coordinator.sendOutput(wanted.run_id, {
      runner_id: await registration.id(),
      request_id: wanted.request_id,
      output,
    });
  } catch (error) {
    log.scope("poller").debug(`The output of run ${wanted.run_id} could not be shown: ${describeError(error)}`);
  }
}

const NOTHING = { from: 0, to: 0, size: 0, text: "" };

function readOutput(
  runFolder: string,
  { stdout_from, stderr_from, bytes }: OutputWanted,
  file: { readonly limitBytes: number; readonly isOver: boolean },
): OutputShown["output"] {
  const stdout = readOutputPart(join(runFolder, "stdout"), { from: stdout_from, bytes, ...file });
  const stderr = readOutputPart(join(runFolder, "stderr"), { from: stderr_from, bytes, ...file });
  if (stdout !== null && stderr !== null) return { stdout, stderr };
  // It has not begun yet: there will be something.
  return file.isOver ? null : { stdout: NOTHING, stderr: NOTHING };
}
