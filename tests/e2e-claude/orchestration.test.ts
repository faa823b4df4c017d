import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { inTurn } from "../fakes/messages-api/messages-api.ts";
import { message, refuses, says, toolUse, uses } from "../fakes/messages-api/reply.ts";
import { API_KEY, CLAUDE_TEST_TIMEOUT_MS, ClaudeWorld, RUN_MS } from "../harness/claude-world.ts";
import type { CoordinatorApi } from "../harness/coordinator-api.ts";
import { commandLineOf, processesWith, variableOf } from "../harness/processes.ts";
import { until } from "../harness/until.ts";

setDefaultTimeout(CLAUDE_TEST_TIMEOUT_MS);

/** The example blueprint of the documentation. */
const ORCHESTRATOR = "orchestrator";
const FOLDER = join(import.meta.dir, "../../docs/examples", ORCHESTRATOR);
const START = "mcp__orchestrator__start_agent_session";

async function addOrchestrator(world: ClaudeWorld, { url }: CoordinatorApi): Promise<void> {
  const added = world.start(["agents", "add", FOLDER, "-c", url]);
  expect({ code: await added.exited, stderr: added.stderr() }).toEqual({
    code: 0,
    stderr: expect.stringContaining(ORCHESTRATOR),
  });
}

test.concurrent("an orchestrator starts two children, and is resumed once with both results", async () => {
  await using world = await ClaudeWorld.open();
  const { provider } = world;
  const baked = Promise.withResolvers<void>();
  provider.conversation("Plan the party", ({ prompts, toolResults }) => {
    if (prompts.length > 1) {
      const hasBoth = ["SHOPPED", "BAKED"].every((result) => prompts[1]?.includes(result));
      return says(`All done. ${hasBoth ? "Both results are here." : "A result is missing."}`);
    }
    if (toolResults.length === 0)
      return message(["Buy drinks", "Bake a cake"].map((prompt) => toolUse(START, { prompt, mode: "async_callback" })));
    return says("Both are on their way.");
  });
  provider.conversation("Buy drinks", inTurn(says("SHOPPED: 6 bottles")));
  provider.conversation("Bake a cake", inTurn(says("BAKED: one cake", { after: baked.promise })));
  const { api } = await world.up();
  await addOrchestrator(world, api);
  const run = await api.submit("Plan the party", { agent_name: ORCHESTRATOR });
  await api.reached(run.run_id, "completed", RUN_MS);
  expect(await api.result(run.session_id)).toBe("Both are on their way.");
  // The parent must not be resumed while the second child works.
  await until(
    "the first child has ended",
    async () => (await api.runs()).filter(({ status }) => status === "completed").length === 2,
    RUN_MS,
  );
  expect((await api.runs()).length).toBe(3);
  baked.resolve();
  await until(
    "all four runs completed",
    async () => (await api.runs()).filter(({ status }) => status === "completed").length === 4,
    RUN_MS,
  );
  expect((await api.runs()).length).toBe(4);
  expect(await api.result(run.session_id)).toBe("All done. Both results are here.");
  const children = (await api.runs()).filter(({ session_id }) => session_id !== run.session_id);
  for (const { session_id } of children) expect((await api.session(session_id)).parent_session_id).toBe(run.session_id);
  const [request] = provider.requestsOf("Plan the party");
  expect(request?.history.system).toContain("You are an orchestrator");
  // The tools are loaded at once, without a tool search.
  expect(request?.history.tools).toContain(START);
});

test.concurrent("a parent gets both outcomes although a child fails and the runner is killed", async () => {
  await using world = await ClaudeWorld.open();
  const { provider } = world;
  const thought = Promise.withResolvers<void>();
  provider.conversation("Plan the party", ({ prompts, toolResults }) => {
    if (prompts.length > 1) return says(prompts.slice(1).join("\n"));
    if (toolResults.length === 0)
      return message(["Buy drinks", "Bake a cake"].map((prompt) => toolUse(START, { prompt, mode: "async_callback" })));
    return says("Both are on their way.");
  });
  provider.conversation("Buy drinks", inTurn(refuses(400, "the shop is closed")));
  provider.conversation("Bake a cake", inTurn(says("BAKED: one cake", { after: thought.promise })));
  const { api } = await world.coordinator();
  const first = world.runner(api.url, "claude-code");
  await addOrchestrator(world, api);
  const run = await api.submit("Plan the party", { agent_name: ORCHESTRATOR });
  await api.reached(run.run_id, "completed", RUN_MS);
  await until("one child failed", async () => (await api.runs()).some(({ status }) => status === "failed"), RUN_MS);
  await until("the other child's request is in flight", () => provider.requestsOf("Bake a cake").length === 1, RUN_MS);
  first.signal("SIGKILL");
  await first.exited;
  const second = world.runner(api.url, "claude-code");
  await second.line(/Adopted run/, RUN_MS);
  thought.resolve();
  await until(
    "three completed",
    async () => (await api.runs()).filter(({ status }) => status === "completed").length === 3,
    RUN_MS,
  );
  expect(await api.runs()).toHaveLength(4);
  const result = await api.result(run.session_id);
  expect(result).toContain("has failed. The error:");
  expect(result).toContain("400 the shop is closed");
  expect(result).toContain("BAKED: one cake");
});

test.concurrent("a sync child runs with --max-concurrent 1; no command line has the run's token", async () => {
  await using world = await ClaudeWorld.open();
  const thought = Promise.withResolvers<void>();
  const { provider } = world;
  provider.conversation(
    "Ask somebody",
    inTurn(uses(START, { prompt: "What is 6 times 7?", mode: "sync" }), ({ toolResults }) =>
      says(`The answer: ${toolResults[0]?.text}`),
    ),
  );
  provider.conversation("What is 6 times 7?", inTurn(says("It is 42.", { after: thought.promise })));
  const { api } = await world.up(["--max-concurrent", "1"]);
  await addOrchestrator(world, api);
  const run = await api.submit("Ask somebody", { agent_name: ORCHESTRATOR });
  await until("the child's request is in flight", () => provider.requestsOf("What is 6 times 7?").length === 1, RUN_MS);
  const processes = processesWith("AGENT_SESSION_ID", run.session_id);
  const token = new URL(variableOf(processes[0] ?? 0, "AGENT_ORCHESTRATOR_API_URL") ?? "").pathname.slice(1);
  expect(token.length).toBeGreaterThan(10);
  const commandLines = processes.map(commandLineOf).join("\n");
  expect(commandLines).toContain("claude");
  for (const secret of [token, API_KEY]) expect(commandLines).not.toContain(secret);
  thought.resolve();
  await api.reached(run.run_id, "completed", RUN_MS);
  expect(await api.result(run.session_id)).toContain("It is 42.");
  expect(await api.runs()).toHaveLength(2);
  const [before, after] = (await api.events(run.session_id)).filter(({ tool_name }) => tool_name === START);
  expect(before).toMatchObject({ event_type: "pre_tool", tool_input: { prompt: "What is 6 times 7?", mode: "sync" } });
  expect(after).toMatchObject({ event_type: "post_tool", tool_output: expect.stringContaining("It is 42.") });
});
