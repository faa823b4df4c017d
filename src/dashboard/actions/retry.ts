import type * as v from "valibot";
import type { RunAnswer } from "../../protocol/answers.ts";

export type ShownRun = v.InferOutput<typeof RunAnswer>;

/** The body of `POST /runs` that repeats a run: in its session if that can be resumed, else in a new session. */
export function retryOf(run: ShownRun, canResume: boolean): object {
  const { prompt, agent_name, project_dir, parent_session_id, execution_mode, demands, priority, max_attempts } = run;
  const common = { prompt, parent_session_id, execution_mode, additional_demands: demands, priority, max_attempts };
  return canResume
    ? { ...common, type: "resume_session", session_id: run.session_id }
    : { ...common, type: "start_session", agent_name, project_dir };
}
