import { Backoff } from "../../async/backoff.ts";
import type { CoordinatorFailure } from "../../client/failure.ts";
import { failureOfThrown } from "../../client/failure.ts";
import type { Log, LogContext } from "../../log.ts";
import type { Link } from "./link.ts";

/** `refused`: a retry would be refused too. `given-up`: the signal fired first. */
export type Delivered<T> =
  | { readonly kind: "answered"; readonly value: T }
  | { readonly kind: "refused"; readonly failure: CoordinatorFailure }
  | { readonly kind: "given-up" };

export interface DeliverOptions {
  readonly link: Link;
  /** Registers again after a 401. */
  readonly renew: () => Promise<void>;
  readonly log: Log;
  readonly context?: LogContext;
  readonly signal?: AbortSignal;
  /** A report must not be lost, so `MAX_UNREGISTERED` does not apply to it. */
  readonly isReport?: boolean;
}

/** This number of 401s in a row, each after a new registration, counts as a refusal. */
const MAX_UNREGISTERED = 5;

/**
 * Retries `call` until the coordinator answers: through outages of any length, restarts that forget this runner, and
 * invalid answers. Only a refusal (4xx) or the signal ends the retries.
 */
export async function deliver<T>(what: string, call: () => Promise<T>, options: DeliverOptions): Promise<Delivered<T>> {
  const { link, log, context, signal } = options;
  const backoff = new Backoff();
  let unregistered = 0;
  for (let attempt = 1; ; attempt++) {
    if (signal?.aborted) return { kind: "given-up" };
    try {
      const value = await call();
      link.up();
      return { kind: "answered", value };
    } catch (error) {
      const failure = failureOfThrown(what, error);
      if (failure.kind === "refused") {
        link.up();
        return { kind: "refused", failure };
      }
      if (failure.kind === "unregistered") {
        if (++unregistered > MAX_UNREGISTERED && options.isReport !== true) return { kind: "refused", failure };
        await options.renew();
        if (unregistered === 1) continue;
      } else {
        unregistered = 0;
        if (failure.kind !== "unavailable" || isGateway(failure)) link.down(failure);
        else if (attempt === 1) log.warn(`${what} was not accepted, retrying: ${failure.message}`, context);
      }
      await link.pause(backoff.nextMs(), signal);
    }
  }
}

/** Whether a proxy reports that the coordinator is away. */
function isGateway(failure: CoordinatorFailure): boolean {
  return failure.status === 502 || failure.status === 503 || failure.status === 504;
}
