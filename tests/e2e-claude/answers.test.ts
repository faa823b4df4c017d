import { expect, setDefaultTimeout, test } from "bun:test";
import { inTurn } from "../fakes/messages-api/messages-api.ts";
import { message, says, text, toolUse, uses } from "../fakes/messages-api/reply.ts";
import { API_KEY, CLAUDE_TEST_TIMEOUT_MS, RUN_MS, sharedClaudeWorld } from "../harness/claude-world.ts";
import { until } from "../harness/until.ts";

setDefaultTimeout(CLAUDE_TEST_TIMEOUT_MS);

const shared = sharedClaudeWorld();
const ANSWER = 'Grüße,\n\n  two  spaces, 🎉 and a "quote".\n```sh\necho $HOME\n```';

test.concurrent("a plain answer is the exact result; the blueprint extends the system prompt", async () => {
  const { provider, api } = shared;
  provider.conversation("say it", inTurn(says(ANSWER)));
  await api.createAgent({ name: "poet", description: "says it", system_prompt: "Rhyme, always: ZEBRA-4711." });
  const run = await api.submit("say it", { agent_name: "poet" });
  await api.reached(run.run_id, "completed", RUN_MS);
  expect(await api.result(run.session_id)).toBe(ANSWER);
  const [request, ...more] = provider.requestsOf("say it");
  expect(more).toEqual([]);
  expect(request?.history.prompts).toEqual(["say it"]);
  expect(request?.history.system).toContain("ZEBRA-4711");
  expect(request?.history.system).toContain("Claude Agent SDK");
  const { status, executor_session_id } = await api.session(run.session_id);
  expect([status, executor_session_id]).toEqual(["finished", request?.sessionId ?? ""]);
  const events = await api.events(run.session_id);
  expect(events.map(({ event_type, role }) => (role === undefined ? event_type : `${event_type} ${role}`))).toEqual([
    "message user",
    "message assistant",
    "result",
    "ending",
    "session_stop",
  ]);
  expect(events[3]).toMatchObject({
    reason: "success",
    turns: 1,
    cost_usd: expect.any(Number),
    tokens: { input: 10, output: 5 },
    model: expect.stringContaining("claude"),
  });
  expect(shared.log()).not.toContain(API_KEY);
  expect(JSON.stringify(events)).not.toContain(API_KEY);
});

test.concurrent("tool calls become events with input, output and error; the agent gets the results", async () => {
  const { world, provider, api } = shared;
  provider.conversation(
    "inspect the folder",
    inTurn(
      message([text("I inspect the folder."), toolUse("Bash", { command: "echo from-the-tool; pwd" })]),
      uses("Bash", { command: "echo broken >&2; exit 3" }),
      ({ toolResults }) => says(toolResults.map(({ text, isError }) => `${isError}: ${text}`).join("\n---\n")),
    ),
  );
  const run = await api.submit("inspect the folder");
  await api.reached(run.run_id, "completed", RUN_MS);
  const result = await api.result(run.session_id);
  expect(result).toContain(`false: from-the-tool\n${world.projectDir}`);
  expect(result).toContain("true: Exit code 3\nbroken");
  const events = await api.events(run.session_id);
  const tools = events.filter(({ event_type }) => event_type.endsWith("_tool"));
  expect(tools.map(({ event_type, tool_name }) => `${event_type} ${tool_name}`)).toEqual([
    "pre_tool Bash",
    "post_tool Bash",
    "pre_tool Bash",
    "post_tool Bash",
  ]);
  expect(tools[0]?.tool_input).toMatchObject({ command: "echo from-the-tool; pwd" });
  expect(JSON.stringify(tools[1]?.tool_output)).toContain("from-the-tool");
  expect(tools[1]?.error ?? null).toBeNull();
  expect(tools[3]?.error).toContain("Exit code 3");
  const messages = events.filter(({ role }) => role === "assistant").map(({ content }) => content?.[0]?.text);
  expect(messages).toEqual(["I inspect the folder.", result]);
});

test.concurrent("a resume continues the same Claude Code session with its whole conversation", async () => {
  const { provider, api } = shared;
  provider.conversation(
    "remember 17",
    inTurn(says("noted"), ({ prompts }) => says(prompts.join(" | "))),
  );
  const first = await api.submit("remember 17");
  await api.reached(first.run_id, "completed", RUN_MS);
  const second = await api.submit("which number?", { type: "resume_session", session_id: first.session_id });
  await api.reached(second.run_id, "completed", RUN_MS);
  expect(await api.result(first.session_id)).toBe("remember 17 | which number?");
  const [before, after] = provider.requestsOf("remember 17");
  expect(after?.sessionId).toBe(before?.sessionId);
});

test.concurrent("a run waits for background work, and the agent's message after it is the result", async () => {
  const { world, provider, api } = shared;
  const build = "until [ -e go-on ]; do sleep 0.1; done; echo built > built";
  provider.conversation(
    "build it",
    inTurn(uses("Bash", { command: build, run_in_background: true }), says("It is being built."), says("It is built.")),
  );
  const run = await api.submit("build it");
  await until(
    "the turn is over",
    async () => JSON.stringify(await api.events(run.session_id)).includes("It is being built."),
    RUN_MS,
  );
  expect((await api.run(run.run_id)).status).toBe("running");
  await Bun.write(world.path("go-on"), "");
  await api.reached(run.run_id, "completed", RUN_MS);
  expect(await world.file("built")).toBe("built\n");
  expect(await api.result(run.session_id)).toBe("It is built.");
});
