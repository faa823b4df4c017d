import { join } from "node:path";
import { describeError } from "../../errors.ts";
import { readOutputPart } from "../../process/output/output-part.ts";
import type { OutputShown, OutputWanted } from "../../protocol/run-output.ts";
import type { RunnerParts } from "./runner-parts.ts";

/**
 * Sends a part of a run's output to the coordinator, without a retry: the reader asks again. The id of a run is
 * validated, so a request cannot name any other folder.
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
    log.scope("poller").debug(`Could not send the output of run ${wanted.run_id}: ${describeError(error)}`);
  }
}

const EMPTY = { from: 0, to: 0, size: 0, text: "" };

function readOutput(
  runFolder: string,
  { stdout_from, stderr_from, bytes }: OutputWanted,
  file: { readonly limitBytes: number; readonly isOver: boolean },
): OutputShown["output"] {
  const stdout = readOutputPart(join(runFolder, "stdout"), { from: stdout_from, bytes, ...file });
  const stderr = readOutputPart(join(runFolder, "stderr"), { from: stderr_from, bytes, ...file });
  if (stdout !== null && stderr !== null) return { stdout, stderr };
  // The run has not begun: it will have output.
  return file.isOver ? null : { stdout: EMPTY, stderr: EMPTY };
}
