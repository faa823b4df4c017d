import { join } from "node:path";
import type { CoordinatorClient } from "../../client/coordinator-client.ts";
import { CoordinatorFailure } from "../../client/failure.ts";
import { readOutputPart } from "../../process/output-part.ts";
import type { OutputPart } from "../../protocol/run-output.ts";

export interface OutputParts {
  readonly stdout: OutputPart;
  readonly stderr: OutputPart;
}

/** What has come of a look at a run's output. `why`: in words, where there is none; `isOver`: and there will be none; `isAway`: whoever has it does not answer. */
export type Look =
  | { readonly kind: "seen"; readonly parts: OutputParts }
  | { readonly kind: "unseen"; readonly why: string; readonly isOver: boolean; readonly isAway: boolean };

/** By these the coordinator says that there is nothing to be seen there: no such call, not begun, not kept, not possible, not now. */
const TOLD: ReadonlySet<number> = new Set([404, 405, 409, 410, 501, 503]);
const AT_A_TIME = 256 * 1024;

/** A run's output: as its runner shows it through the coordinator, or, where that cannot be, from this machine's own state folder. */
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

  /** From these offsets on; without them the end. Rejects where the coordinator cannot be reached. */
  async look(from: { readonly stdout: number; readonly stderr: number } | null): Promise<Look> {
    try {
      const { stdout, stderr } = await this.#client.runOutput(this.#runId, from, AT_A_TIME);
      return { kind: "seen", parts: { stdout, stderr } };
    } catch (error) {
      if (!(error instanceof CoordinatorFailure) || !TOLD.has(error.status ?? 0)) throw error;
      return this.#here(from) ?? unseen(error);
    }
  }

  #here(from: { readonly stdout: number; readonly stderr: number } | null): Look | null {
    const part = (name: "stdout" | "stderr"): OutputPart | null =>
      readOutputPart(join(this.#runFolder, name), {
        from: from?.[name] ?? null,
        bytes: AT_A_TIME,
        limitBytes: this.#limitBytes,
      });
    const [stdout, stderr] = [part("stdout"), part("stderr")];
    return stdout === null || stderr === null ? null : { kind: "seen", parts: { stdout, stderr } };
  }
}

function unseen({ status, message }: CoordinatorFailure): Look {
  // 404 of a run that is known: the coordinator has no such call.
  if (status === 404 || status === 405)
    return {
      kind: "unseen",
      why: "This coordinator does not show the output of runs; it is on the machine of the runner",
      isOver: true,
      isAway: false,
    };
  return { kind: "unseen", why: message, isOver: status === 410 || status === 501, isAway: status === 503 };
}
