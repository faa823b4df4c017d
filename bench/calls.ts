/** Calls to a coordinator, or to the limit server. */

export interface CreatedRun {
  readonly run_id: string;
  readonly session_id: string;
}

export async function postJson(url: string, body: unknown): Promise<unknown> {
  const response = await fetch(url, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
  });
  const answer: unknown = await response.json();
  if (!response.ok) throw new Error(`POST ${url}: ${response.status} ${JSON.stringify(answer)}`);
  return answer;
}

export const START_RUN = {
  type: "start_session",
  prompt: "A prompt with the length of a short prompt.",
  execution_mode: "sync",
} as const;

export async function createRun(coordinatorUrl: string): Promise<CreatedRun> {
  return (await postJson(`${coordinatorUrl}/runs`, START_RUN)) as CreatedRun;
}

/** Registers a runner without a process, and resolves to its id. Each runner needs its own `projectDir`. */
export async function registerRunner(coordinatorUrl: string, projectDir = "/project"): Promise<string> {
  const body = { hostname: "bench", project_dir: projectDir, executor_type: "nothing" };
  return ((await postJson(`${coordinatorUrl}/runner/register`, body)) as { runner_id: string }).runner_id;
}

export function eventOf(sessionId: string): object {
  const timestamp = new Date().toISOString();
  return {
    event_type: "post_tool",
    session_id: sessionId,
    timestamp,
    tool_name: "read",
    tool_input: { path: "README.md" },
    tool_output: "x".repeat(200),
  };
}

/** Calls `work` `count` times, at most `concurrency` calls at a time. */
export async function inParallel(
  count: number,
  concurrency: number,
  work: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
}
