import type { Caller } from "../gateway/caller.ts";
import { Demands } from "../protocol/run.ts";
import * as v from "valibot";
import type { SessionCalls } from "./session-calls.ts";
import type { SessionWatch } from "./session-watch.ts";

/** What the tools need of the runner. */
export interface RunnerHooks {
  readonly watch: SessionWatch;
  /** How the coordinator shows a run; for a run that the caller has just created. */
  readonly run: (runId: string) => Promise<{ readonly status: string; readonly error: string | null }>;
  /** Fires when the runner takes no more runs. */
  readonly draining: AbortSignal;
  /** The run's agent only waits for another run until this is disposed of. */
  readonly waits: (runId: string) => Disposable;
}

/** One call of a tool. */
export interface CallContext {
  readonly caller: Caller;
  readonly calls: SessionCalls;
  readonly hooks: RunnerHooks;
  readonly headers: CallHeaders;
  /** Fires when the caller has given up this call. */
  readonly cancelled: AbortSignal;
  /** Tells the caller that the call is still under way. */
  readonly progress: (message: string) => Promise<void>;
}

/** What a client may set by headers (protocol, section 16). */
export interface CallHeaders {
  /** Blueprints are listed that have all of these. */
  readonly tags: readonly string[];
  /** Added to the demands of each run that is created. */
  readonly demands: Demands | null;
}

export function readHeaders(headers: Headers): CallHeaders {
  const tags = (headers.get("x-agent-tags") ?? "").split(",").map((tag) => tag.trim());
  return {
    tags: tags.filter((tag) => tag !== "" && !tag.startsWith("${")),
    demands: readDemands(headers.get("x-additional-demands")),
  };
}

/** What makes no sense is ignored, as the existing servers do it. */
function readDemands(text: string | null): Demands | null {
  try {
    const demands = v.safeParse(Demands, JSON.parse(text ?? ""));
    return demands.success ? demands.output : null;
  } catch {
    return null;
  }
}
