import { createHash } from "node:crypto";
import type { Generation } from "../../src/protocol/poll.ts";
import { type Answer, detail, json } from "./answers.ts";
import type { FakeRun, FakeSession } from "./fake-runs.ts";

type Body = Readonly<Record<string, unknown>>;

export interface FakeTimings {
  readonly pollTimeoutSeconds: number;
  readonly heartbeatIntervalSeconds: number;
}

/** A stale runner gets no runs until it registers again. */
export interface FakeRunner {
  deregistered: boolean;
  stale: boolean;
  readonly hostname: unknown;
  readonly executor_profile: unknown;
  readonly tags: readonly string[];
}

/** The registered runners of a Python coordinator. */
export class FakeRunners {
  readonly runners = new Map<string, FakeRunner>();

  constructor(
    readonly generation: Generation,
    readonly timings: FakeTimings,
  ) {}

  register(body: Body): Answer {
    const { hostname, project_dir, executor_type, executor_profile, tags = [] } = body;
    const missing = this.generation === "first" ? "executor_type" : "executor_profile";
    if (body[missing] === undefined) return detail(422, [{ type: "missing", loc: ["body", missing] }]);
    const parts =
      this.generation === "first"
        ? [hostname, project_dir, executor_type]
        : [hostname, project_dir, executor_profile, ""];
    const runner_id = `lnch_${createHash("sha256").update(parts.join(":")).digest("hex").slice(0, 12)}`;
    if (this.runners.get(runner_id)?.stale === false) {
      return detail(409, {
        error: "duplicate_runner",
        message: "Runner is already online",
        runner_id,
        hostname,
        project_dir,
        executor_type,
      });
    }
    const offer = { hostname, executor_profile, tags: tags as string[] };
    this.runners.set(runner_id, { deregistered: false, stale: false, ...offer });
    const { pollTimeoutSeconds, heartbeatIntervalSeconds } = this.timings;
    return json(200, {
      runner_id,
      poll_endpoint: "/runner/runs",
      poll_timeout_seconds: pollTimeoutSeconds,
      heartbeat_interval_seconds: heartbeatIntervalSeconds,
    });
  }

  /** Does what the clean-up does after too long without a heartbeat. */
  markStale(): void {
    for (const runner of this.runners.values()) runner.stale = true;
  }

  heartbeat(body: Body): Answer {
    return this.runners.has(String(body["runner_id"])) ? json(200, { ok: true }) : detail(401, "Runner not registered");
  }

  deregister(runnerId: string, self: boolean): Answer {
    const runner = this.runners.get(runnerId);
    if (runner === undefined) return detail(404, "Runner not found");
    if (self) this.runners.delete(runnerId);
    else runner.deregistered = true;
    return json(200, {
      ok: true,
      message: self ? "Runner deregistered" : "Runner marked for deregistration",
      initiated_by: self ? "self" : "external",
    });
  }

  /** A resume of the second generation goes to the runner of its session. */
  matches({ demands, type }: FakeRun, session: FakeSession | undefined, runner: FakeRunner): boolean {
    const { hostname, executor_profile, tags = [] } = demands ?? {};
    const isBound = this.generation === "second" && type === "resume_session";
    const bound = (isBound ? session?.bound : null) ?? {};
    const wanted = { hostname, executor_profile, ...bound };
    return (
      [undefined, runner.hostname].includes(wanted.hostname) &&
      [undefined, runner.executor_profile].includes(wanted.executor_profile) &&
      tags.every((tag) => runner.tags.includes(tag))
    );
  }
}
