import { randomHex12 } from "../../protocol/identifiers.ts";
import type { OutputShown, OutputWanted, RunOutputAnswer } from "../../protocol/run-output.ts";
import { Refusal } from "../store/refusal.ts";
import type { PollWaiters } from "./poll-waiters.ts";

interface Request {
  readonly runnerId: string;
  readonly wanted: OutputWanted;
  isHandedOut: boolean;
  readonly answer: (output: OutputShown["output"]) => void;
  readonly giveUp: () => void;
}

/** Bounds memory: each answer may carry a megabyte. */
const MAX_OPEN = 64;

/**
 * Fetches the output of a run from its runner, which alone stores it. The request travels in the answer to the runner's
 * open poll. If that answer is lost, the request is not retried: the client gets `unavailable` after the time-out.
 */
export class RunOutputs {
  readonly #waiters: PollWaiters;
  readonly #timeoutMs: number;
  readonly #open = new Map<string, Request>();
  /** Whether a runner can show output, by its last poll. */
  readonly #canShow = new Map<string, boolean>();

  constructor(waiters: PollWaiters, timeoutMs: number) {
    this.#waiters = waiters;
    this.#timeoutMs = timeoutMs;
  }

  /** Call on each poll: the poll says whether its runner can show output. */
  setCanShow(runnerId: string, canShow: boolean): void {
    this.#canShow.set(runnerId, canShow);
  }

  forget(runnerId: string): void {
    this.#canShow.delete(runnerId);
  }

  /**
   * Rejects with a refusal. `gone`: the runner deleted the output. `unsupported`: the runner shows no output.
   * `unavailable`: no answer, or too many open requests.
   */
  ask(runnerId: string, wanted: Omit<OutputWanted, "request_id">, signal: AbortSignal): Promise<RunOutputAnswer> {
    if (this.#canShow.get(runnerId) === false)
      throw new Refusal("unsupported", "The runner cannot show the output of its runs");
    if (this.#open.size >= MAX_OPEN)
      throw new Refusal("unavailable", "Too many outputs are being asked for; try again in a moment");
    const id = randomHex12();
    const { promise, resolve, reject } = Promise.withResolvers<RunOutputAnswer>();
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
      this.#open.delete(id);
    };
    const giveUp = (): void => {
      end();
      reject(new Refusal("unavailable", "The runner that has the output does not answer"));
    };
    const answer = (output: OutputShown["output"]): void => {
      end();
      if (output === null) reject(new Refusal("gone", "The runner does not have the run's output any more"));
      else resolve({ run_id: wanted.run_id, ...output });
    };
    const timer = setTimeout(giveUp, this.#timeoutMs);
    signal.addEventListener("abort", giveUp, { once: true });
    this.#open.set(id, { runnerId, wanted: { ...wanted, request_id: id }, isHandedOut: false, answer, giveUp });
    this.#waiters.wake(runnerId);
    return promise;
  }

  /** The requests to send to this runner now; `handedOut` is to be called when they are sent. */
  due(runnerId: string): { readonly wanted: OutputWanted[]; readonly handedOut: () => void } {
    const due = this.#canShow.get(runnerId) === true ? [...this.#open.values()] : [];
    const requests = due.filter((request) => request.runnerId === runnerId && !request.isHandedOut);
    const handedOut = (): void => {
      for (const request of requests) request.isHandedOut = true;
    };
    return { wanted: requests.map(({ wanted }) => wanted), handedOut };
  }

  /** Answers the request with the runner's output. Ignores an answer to a request that has ended. */
  shown(runId: string, { runner_id, request_id, output }: OutputShown): void {
    const request = this.#open.get(request_id);
    if (request?.runnerId === runner_id && request.wanted.run_id === runId) request.answer(output);
  }

  endAll(): void {
    for (const request of this.#open.values()) request.giveUp();
  }
}
