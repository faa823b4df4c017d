import type { VNode } from "preact";
import type { ShownRun } from "../actions/retry.ts";
import { Countdown } from "../parts/countdown.tsx";
import { InlineText } from "../parts/inline-text.tsx";
import { type ShownRunner, WITH_RUNNER } from "./session-data.ts";

/** The runner of an open run, if it cannot be reached: nobody knows how the run goes. */
export function silentRunnerOf(run: ShownRun, runners: readonly ShownRunner[]): ShownRunner | null {
  if (!WITH_RUNNER.has(run.status)) return null;
  return runners.find(({ runner_id, status }) => runner_id === run.runner_id && status === "stale") ?? null;
}

/** Says what becomes of a run whose runner cannot be reached. */
export function Unreachable({ run, runner }: { readonly run: ShownRun; readonly runner: ShownRunner }): VNode {
  const { hostname, lost_in_seconds: seconds } = runner;
  const isStopping = run.status === "stopping";
  return (
    <p class="unreachable">
      {isStopping ? "Stopping: its runner" : "Its runner"} on <InlineText text={hostname} max={80} /> cannot be reached.
      {seconds !== null && (
        <>
          {" "}
          {isStopping && "The run stays stopping until the runner answers. "}The run is given up in{" "}
          <Countdown seconds={seconds} />.
        </>
      )}
    </p>
  );
}
