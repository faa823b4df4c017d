import { join } from "node:path";
import type { CoordinatorClient } from "../../client/coordinator-client.ts";
import { CoordinatorFailure } from "../../client/failure.ts";
import { readOutputPart } from "../../process/output/output-part.ts";
import type { OutputPart } from "../../protocol/run-output.ts";

export interface OutputParts {
  readonly stdout: OutputPart;
  readonly stderr: OutputPart;
}

/** One read of a run's output. `isOver`: no later read returns more. `isAway`: the runner does not answer. */
export type OutputRead =
  | { readonly kind: "parts"; readonly parts: OutputParts }
  | { readonly kind: "none"; readonly reason: string; readonly isOver: boolean; readonly isAway: boolean };

/** Answers that mean "no output": no such route, not started, not kept, not possible, not now. */
const NO_OUTPUT: ReadonlySet<number> = new Set([404, 405, 409, 410, 501, 503]);
const MAX_READ_BYTES = 256 * 1024;

/** A run's output, from its runner through the coordinator, or else from this machine's state folder. */
export class RunOutputSource {
  readonly #client: CoordinatorClient;
  readonly #runFolder: string;
  readonly #limitBytes: number;
  readonly #runId: string;

  constructor(
    client: CoordinatorClient,
    runId: string,
    { stateDir, outputLimitBytes }: { readonly stateDir: string; readonly outputLimitBytes: number },
  ) {
    this.#client = client;
    this.#runId = runId;
    this.#runFolder = join(stateDir, "runs", runId);
    this.#limitBytes = outputLimitBytes;
  }

  /** Reads from these offsets, or the end if null. Rejects if the coordinator cannot be reached. */
  async read(from: { readonly stdout: number; readonly stderr: number } | null): Promise<OutputRead> {
    try {
      const { stdout, stderr } = await this.#client.runOutput(this.#runId, from, MAX_READ_BYTES);
      return { kind: "parts", parts: { stdout, stderr } };
    } catch (error) {
      if (!(error instanceof CoordinatorFailure) || !NO_OUTPUT.has(error.status ?? 0)) throw error;
      return this.#readLocal(from) ?? noOutput(error);
    }
  }

  #readLocal(from: { readonly stdout: number; readonly stderr: number } | null): OutputRead | null {
    const part = (name: "stdout" | "stderr"): OutputPart | null =>
      readOutputPart(join(this.#runFolder, name), {
        from: from?.[name] ?? null,
        bytes: MAX_READ_BYTES,
        limitBytes: this.#limitBytes,
      });
    const [stdout, stderr] = [part("stdout"), part("stderr")];
    return stdout === null || stderr === null ? null : { kind: "parts", parts: { stdout, stderr } };
  }
}

function noOutput({ status, message }: CoordinatorFailure): OutputRead {
  // The run is known, so a 404 means that the coordinator has no such route.
  if (status === 404 || status === 405)
    return {
      kind: "none",
      reason: "This coordinator does not show the output of runs; it is on the machine of the runner",
      isOver: true,
      isAway: false,
    };
  return { kind: "none", reason: message, isOver: status === 410 || status === 501, isAway: status === 503 };
}
