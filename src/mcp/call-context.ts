import type { Caller } from "../gateway/caller.ts";
import { parseJson } from "../protocol/json.ts";
import { Demands } from "../protocol/run.ts";
import * as v from "valibot";
import type { SessionCalls } from "./session-calls.ts";
import type { SessionWatch } from "./session-watch.ts";

/** Services of the runner that the tools use. */
export interface RunnerHooks {
  readonly watch: SessionWatch;
  /** Reads a run from the coordinator, without the caller's limits; only for a run that the caller has just created. */
  readonly run: (runId: string) => Promise<{ readonly status: string; readonly error: string | null }>;
  /** Fires when the runner begins to drain. */
  readonly draining: AbortSignal;
  /** Marks the run as waiting for another run until disposal: a waiting run needs no slot. */
  readonly waits: (runId: string) => Disposable;
}

/** One tool call. */
export interface CallContext {
  readonly caller: Caller;
  readonly calls: SessionCalls;
  readonly hooks: RunnerHooks;
  readonly headers: CallHeaders;
  /** Fires when the caller cancels this call. */
  readonly cancelled: AbortSignal;
  /** Sends a progress notification to the caller. */
  readonly progress: (message: string) => Promise<void>;
}

/** The settings that a client sends as headers (`docs/protocol.md`, section 16). */
export interface CallHeaders {
  /** Lists only blueprints with all of these tags. */
  readonly tags: readonly string[];
  /** Added to the demands of each created run. */
  readonly demands: Demands | null;
}

export function readHeaders(headers: Headers): CallHeaders {
  const tags = (headers.get("x-agent-tags") ?? "").split(",").map((tag) => tag.trim());
  return {
    tags: tags.filter((tag) => tag !== "" && !tag.startsWith("${")),
    demands: readDemands(headers.get("x-additional-demands")),
  };
}

/** Ignores invalid demands, as the Python servers do. */
function readDemands(text: string | null): Demands | null {
  try {
    const demands = v.safeParse(Demands, parseJson(text ?? ""));
    return demands.success ? demands.output : null;
  } catch {
    return null;
  }
}
