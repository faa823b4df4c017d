import { expect, setDefaultTimeout, test } from "bun:test";
import { inTurn } from "../fakes/messages-api/messages-api.ts";
import { says, stalls, uses } from "../fakes/messages-api/reply.ts";
import { CLAUDE_TEST_TIMEOUT_MS, ClaudeWorld, RUN_MS, sharedClaudeWorld } from "../harness/claude-world.ts";
import type { CoordinatorApi } from "../harness/coordinator-api.ts";
import { killProcess, processesWith } from "../harness/processes.ts";
import { until } from "../harness/until.ts";

setDefaultTimeout(CLAUDE_TEST_TIMEOUT_MS);

const shared = sharedClaudeWorld();

/** All processes of a session: executor, Claude Code and its tools. */
const processesOf = (sessionId: string): number[] => processesWith("AGENT_SESSION_ID", sessionId);

async function noLeftovers(sessionId: string): Promise<void> {
  await until("no process of the run lives", () => processesOf(sessionId).length === 0);
}

async function isFinished(api: CoordinatorApi, sessionId: string): Promise<boolean> {
  return (await api.events(sessionId)).some(({ event_type }) => event_type === "session_stop");
}

test.concurrent("a stop during a tool call ends every process; the session can be resumed", async () => {
  const { world, provider, api } = shared;
  // Matches any number of messages: Claude Code may add some after an interruption.
  provider.conversation("dig", ({ prompts }) =>
    prompts.includes("what now?")
      ? says(`back after: ${prompts[0]}`)
      : uses("Bash", { command: "echo yes > digging; sleep 300" }),
  );
  const run = await api.submit("dig");
  await world.file("digging", RUN_MS);
  expect(processesOf(run.session_id).length).toBeGreaterThan(3);
  await api.stop(run.run_id);
  await api.reached(run.run_id, "stopped", RUN_MS);
  await noLeftovers(run.session_id);
  expect(await isFinished(api, run.session_id)).toBe(false);
  const resumed = await api.submit("what now?", { type: "resume_session", session_id: run.session_id });
  await api.reached(resumed.run_id, "completed", RUN_MS);
  expect(await api.result(run.session_id)).toBe("back after: dig");
});

test.concurrent("a stop during a message keeps the partial message, and the session is not finished", async () => {
  const { provider, api } = shared;
  /** The assistant's messages of a run that was stopped while the agent wrote. */
  const stoppedWhileWriting = async (prompt: string): Promise<unknown[]> => {
    let isHalted = false;
    const halt = (): Promise<void> => {
      isHalted = true;
      return new Promise(() => {});
    };
    provider.conversation(prompt, inTurn(says("once upon a time there was", { pause: halt })));
    const run = await api.submit(prompt);
    await until("the agent writes", () => isHalted);
    await until("the session is bound", async () => (await api.session(run.session_id)).executor_session_id !== null);
    await api.stop(run.run_id);
    await api.reached(run.run_id, "stopped", RUN_MS);
    expect(await isFinished(api, run.session_id)).toBe(false);
    const messages = (await api.events(run.session_id)).filter(({ role }) => role === "assistant");
    return messages.map(({ content }) => content?.[0]?.text);
  };
  // The words are on their way through Claude Code, which the stop may end before it has passed them on.
  for (let attempt = 1; attempt <= 10; attempt++) {
    const messages = await stoppedWhileWriting(`tell me, ${attempt}`);
    if (messages.length === 0) continue;
    expect(messages).toEqual(["once upon"]);
    return;
  }
  throw new Error("no stop of ten kept the partial message");
});

test.concurrent("a kill of Claude Code fails the run with that reason, and ends its tool", async () => {
  const { world, provider, api } = shared;
  provider.conversation(
    "burrow",
    inTurn(uses("Bash", { command: "echo $PPID > burrow; mv burrow burrowing; sleep 300" })),
  );
  const run = await api.submit("burrow");
  const claude = Number(await world.file("burrowing", RUN_MS));
  killProcess(claude);
  await api.reached(run.run_id, "failed", RUN_MS);
  expect((await api.run(run.run_id)).error).toMatch(/SIGKILL/);
  await noLeftovers(run.session_id);
  expect(await isFinished(api, run.session_id)).toBe(false);
});

test.concurrent("a provider that never answers: the run time-out fails the run, without leftovers", async () => {
  await using world = await ClaudeWorld.open();
  world.provider.conversation("hello?", inTurn(stalls()));
  const { api } = await world.up(["--run-timeout", "6s"]);
  const run = await api.submit("hello?");
  await api.reached(run.run_id, "failed", RUN_MS);
  expect((await api.run(run.run_id)).error).toContain("took longer than the run time-out of 6 s");
  await noLeftovers(run.session_id);
  expect(world.provider.requests.map(({ state }) => state)).not.toContain("open");
});

test.concurrent("a restarted runner adopts the run; its agent completes the answer, and can be resumed", async () => {
  await using world = await ClaudeWorld.open();
  const thought = Promise.withResolvers<void>();
  world.provider.conversation(
    "think",
    inTurn(says("a deep thought", { after: thought.promise }), ({ prompts }) => says(prompts.join(", "))),
  );
  const { api } = await world.coordinator();
  const first = world.runner(api.url, "claude-code");
  const run = await api.submit("think");
  await until("the request is in flight", () => world.provider.requests.length === 1, RUN_MS);
  first.signal("SIGKILL");
  await first.exited;
  const second = world.runner(api.url, "claude-code");
  await second.line(new RegExp(`Adopted run ${run.run_id}, whose executor lives`), RUN_MS);
  thought.resolve();
  await api.reached(run.run_id, "completed", RUN_MS);
  expect(await api.result(run.session_id)).toBe("a deep thought");
  expect(world.provider.requests).toHaveLength(1);
  const next = await api.submit("and another", { type: "resume_session", session_id: run.session_id });
  await api.reached(next.run_id, "completed", RUN_MS);
  expect(await api.result(run.session_id)).toBe("think, and another");
});
