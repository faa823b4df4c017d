import { Backoff } from "../../async/backoff.ts";
import type { CoordinatorFailure } from "../../client/failure.ts";
import { failureOfThrown } from "../../client/failure.ts";
import type { Log, LogContext } from "../../log.ts";
import type { Link } from "./link.ts";

/** `refused`: it will never be accepted. `given-up`: the signal fired first. */
export type Delivered<T> =
  | { readonly kind: "answered"; readonly value: T }
  | { readonly kind: "refused"; readonly failure: CoordinatorFailure }
  | { readonly kind: "given-up" };

export interface DeliverOptions {
  readonly link: Link;
  /** Registers anew after a 401. */
  readonly renew: () => Promise<void>;
  readonly log: Log;
  readonly context?: LogContext;
  readonly signal?: AbortSignal;
  /** A report: nothing but a plain refusal ends it, for it cannot be had again. A question may be given up (`MAX_UNREGISTERED`). */
  readonly isReport?: boolean;
}

/** So many times "who are you?" in a row, each after a new registration, count as a refusal of a question. */
const MAX_UNREGISTERED = 5;

/**
 * Repeats `call` until the coordinator has answered it: through outages of any length, restarts that forget this runner, and
 * answers that make no sense. Only a refusal (4xx) or the signal ends it.
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
        if (failure.kind === "unreachable" || isGateway(failure)) link.down(failure);
        else if (attempt === 1) log.warn(`${what} was not accepted, trying again: ${failure.message}`, context);
      }
      await link.pause(backoff.nextMs(), signal);
    }
  }
}

/** A proxy before the coordinator says that it is away. */
function isGateway(failure: CoordinatorFailure): boolean {
  return failure.status === 502 || failure.status === 503 || failure.status === 504;
}
