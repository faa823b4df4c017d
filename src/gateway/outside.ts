import { Semaphore } from "../async/semaphore.ts";
import type { CoordinatorClient } from "../client/coordinator-client.ts";
import type { Log } from "../log.ts";
import { createRun } from "./create-run.ts";
import { detail, forward } from "./forward.ts";
import type { TreeLimits } from "../protocol/creation-limits.ts";

export interface OutsideParts {
  readonly coordinator: CoordinatorClient;
  readonly limits: TreeLimits;
  readonly log: Log;
}

const READABLE = new Set(["agents", "sessions", "runs"]);

/**
 * Answers an agent outside of all runs that names no session of its own. The agent may read, start new trees and resume
 * sessions: its token makes it a user of this runner's coordinator.
 */
export async function answerOutside(
  parts: OutsideParts,
  method: string,
  path: string,
  body: object | undefined,
): Promise<Response> {
  const { coordinator, limits, log } = parts;
  const head = path.split(/[/?]/)[1] ?? "";
  if (method === "GET" && READABLE.has(head))
    return forward(coordinator, { method, path, headers: new Headers(), body: null, signal: null });
  if (method === "POST" && path === "/runs" && body !== undefined) {
    const creator = {
      sessionId: null,
      tree: null,
      creations: new Semaphore(1),
      limits: { tree: limits, run: null },
      trace: {},
      coordinator,
      log,
      name: "an agent outside of all runs",
      context: {},
    };
    return createRun(creator, { ...body });
  }
  return detail(403, `${method} ${path} is not allowed for an agent that names no session of its own`);
}
