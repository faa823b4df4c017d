import { randomHex12 } from "../../protocol/identifiers.ts";
import type { OutputShown, OutputWanted, RunOutputAnswer } from "../../protocol/run-output.ts";
import { HttpError } from "../routes/http.ts";
import type { PollWaiters } from "./poll-waiters.ts";

interface Request {
  readonly runnerId: string;
  readonly wanted: OutputWanted;
  isHandedOut: boolean;
  readonly answer: (output: OutputShown["output"]) => void;
  readonly giveUp: () => void;
}

/** Each may bring a megabyte. */
const MOST_OPEN = 64;

/**
 * What somebody wants to see of a run's output. It is kept by the runner alone, and asked for through the poll that it has open anyway; nothing of it is
 * stored here, and a request that is lost with a poll's answer is not repeated: its asker is told that the runner did not answer.
 */
export class RunOutputs {
  readonly #waiters: PollWaiters;
  readonly #timeoutMs: number;
  readonly #open = new Map<string, Request>();
  /** Runners whose last poll said whether they can show output. */
  readonly #canShow = new Map<string, boolean>();

  constructor(waiters: PollWaiters, timeoutMs: number) {
    this.#waiters = waiters;
    this.#timeoutMs = timeoutMs;
  }

  /** A poll says whether its runner can show output. */
  heard(runnerId: string, canShow: boolean): void {
    this.#canShow.set(runnerId, canShow);
  }

  forget(runnerId: string): void {
    this.#canShow.delete(runnerId);
  }

  /** Rejects with an HttpError: 410 the runner has it no more, 501 it cannot show any, 503 it does not answer, or too much is asked for at once. */
  ask(runnerId: string, wanted: Omit<OutputWanted, "request_id">, signal: AbortSignal): Promise<RunOutputAnswer> {
    if (this.#canShow.get(runnerId) === false)
      throw new HttpError(501, "The runner cannot show the output of its runs");
    if (this.#open.size >= MOST_OPEN)
      throw new HttpError(503, "Too many outputs are being asked for; try again in a moment");
    const id = randomHex12();
    const { promise, resolve, reject } = Promise.withResolvers<RunOutputAnswer>();
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
      this.#open.delete(id);
    };
    const giveUp = (): void => {
      end();
      reject(new HttpError(503, "The runner that has the output does not answer"));
    };
    const answer = (output: OutputShown["output"]): void => {
      end();
      if (output === null) reject(new HttpError(410, "The runner does not have the run's output any more"));
      else resolve({ run_id: wanted.run_id, ...output });
    };
    const timer = setTimeout(giveUp, this.#timeoutMs);
    signal.addEventListener("abort", giveUp, { once: true });
    this.#open.set(id, { runnerId, wanted: { ...wanted, request_id: id }, isHandedOut: false, answer, giveUp });
    this.#waiters.wake(runnerId);
    return promise;
  }

  /** What is to be asked of this runner now; it is handed out once. */
  due(runnerId: string): OutputWanted[] {
    if (this.#canShow.get(runnerId) !== true) return [];
    const due = [...this.#open.values()].filter((request) => request.runnerId === runnerId && !request.isHandedOut);
    for (const request of due) request.isHandedOut = true;
    return due.map(({ wanted }) => wanted);
  }

  /** What the runner shows; nobody may wait for it any more. */
  shown(runId: string, { runner_id, request_id, output }: OutputShown): void {
    const request = this.#open.get(request_id);
    if (request?.runnerId === runner_id && request.wanted.run_id === runId) request.answer(output);
  }

  endAll(): void {
    for (const request of this.#open.values()) request.giveUp();
  }
}
