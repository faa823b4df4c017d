import type { FakeRun } from "./fake-runs.ts";

/** What a hook says. `never`: it ends without a word, as one that was stopped by hand does. */
export interface HookWord {
  readonly action: "continue" | "block" | "never";
  readonly parameters?: Readonly<Record<string, unknown>>;
}

/** A hook `on_run_start`, which the second generation executes inside the poll. */
export type FakeHook = (run: FakeRun) => Promise<HookWord>;

/** Executes a hook for a claimed run. Returns false if it blocks the run. */
export async function executeHook(
  run: FakeRun,
  hook: FakeHook,
  addEvent: (event: Readonly<Record<string, unknown>>) => unknown,
): Promise<boolean> {
  const say = (event_type: string): unknown =>
    addEvent({
      event_type,
      session_id: run.session_id,
      timestamp: new Date().toISOString(),
      tool_name: `hook:on_run_start:${run.agent_name}`,
    });
  say("hook_start");
  const { action, parameters } = await hook(run);
  if (action === "block") {
    say("hook_blocked");
    run.status = "failed";
    run.error = "Blocked by on_run_start hook: no";
    return false;
  }
  if (action === "continue") say("hook_complete");
  run.changed = parameters ?? run.changed;
  return true;
}
