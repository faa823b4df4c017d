import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { inTurn } from "../fakes/messages-api/messages-api.ts";
import { message, refuses, says, toolUse, uses } from "../fakes/messages-api/reply.ts";
import { API_KEY, CLAUDE_TEST_TIMEOUT_MS, ClaudeWorld, RUN_MS } from "../harness/claude-world.ts";
import type { CoordinatorApi } from "../harness/coordinator-api.ts";
import { commandLineOf, processesWith, variableOf } from "../harness/processes.ts";
import { until } from "../harness/until.ts";

setDefaultTimeout(CLAUDE_TEST_TIMEOUT_MS);

/** The blueprint that users are told to copy. */
const ORCHESTRATOR = "orchestrator";
const FOLDER = join(import.meta.dir, "../../docs/examples", ORCHESTRATOR);
const START = "mcp__orchestrator__start_agent_session";

async function addOrchestrator(world: ClaudeWorld, { url }: CoordinatorApi): Promise<void> {
  const added = world.start(["agents", "add", FOLDER, "-c", url]);
  expect({ code: await added.exited, said: added.stderr() }).toEqual({
    code: 0,
    said: expect.stringContaining(ORCHESTRATOR),
  });
}

test.concurrent("the callback flow: an orchestrator starts two children, ends its turn, is resumed once with both results, and finishes", async () => {
  await using world = await ClaudeWorld.open();
  const { provider } = world;
  const tail = Promise.withResolvers<void>();
  provider.conversation("Plan the party", ({ prompts, toolResults }) => {
    if (prompts.length > 1)
      return says(
        `All done. ${/SHOPPED/.test(prompts[1] ?? "") && /BAKED/.test(prompts[1] ?? "") ? "Both were told." : "One is missing."}`,
      );
    if (toolResults.length === 0)
      return message(["Buy drinks", "Bake a cake"].map((prompt) => toolUse(START, { prompt, mode: "async_callback" })));
    return says("Both are on their way.");
  });
  provider.conversation("Buy drinks", inTurn(says("SHOPPED: 6 bottles")));
  provider.conversation("Bake a cake", inTurn(says("BAKED: one cake", { after: tail.promise })));
  const { api } = await world.up();
  await addOrchestrator(world, api);
  const run = await api.submit("Plan the party", { agent_name: ORCHESTRATOR });
  await api.reached(run.run_id, "completed", RUN_MS);
  expect(await api.result(run.session_id)).toBe("Both are on their way.");
  // One child is through while the other still works: that wakes nobody.
  await until(
    "the first child is through",
    async () => (await api.runs()).filter(({ status }) => status === "completed").length === 2,
    RUN_MS,
  );
  expect((await api.runs()).length).toBe(3);
  tail.resolve();
  await until(
    "all four runs completed",
    async () => (await api.runs()).filter(({ status }) => status === "completed").length === 4,
    RUN_MS,
  );
  expect((await api.runs()).length).toBe(4);
  expect(await api.result(run.session_id)).toBe("All done. Both were told.");
  const children = (await api.runs()).filter(({ session_id }) => session_id !== run.session_id);
  for (const { session_id } of children) expect((await api.session(session_id)).parent_session_id).toBe(run.session_id);
  const [asked] = provider.requestsOf("Plan the party");
  expect(asked?.history.system).toContain("You are an orchestrator");
  // No tool had to be searched for first.
  expect(asked?.history.tools).toContain(START);
});

test.concurrent("a child that fails, and a runner that is killed while another works: their parent is told of both all the same", async () => {
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
  await until("the other thinks", () => provider.requestsOf("Bake a cake").length === 1, RUN_MS);
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
  const told = await api.result(run.session_id);
  expect(told).toContain("has failed. The error:");
  expect(told).toContain("400 the shop is closed");
  expect(told).toContain("BAKED: one cake");
});

test.concurrent("a sync child runs although only one run may, and its result is what the tool answers; no command line has the run's token", async () => {
  await using world = await ClaudeWorld.open();
  const thought = Promise.withResolvers<void>();
  const { provider } = world;
  provider.conversation(
    "Ask somebody",
    inTurn(uses(START, { prompt: "What is 6 times 7?", mode: "sync" }), ({ toolResults }) =>
      says(`I was told: ${toolResults[0]?.text}`),
    ),
  );
  provider.conversation("What is 6 times 7?", inTurn(says("It is 42.", { after: thought.promise })));
  const { api } = await world.up(["--max-concurrent", "1"]);
  await addOrchestrator(world, api);
  const run = await api.submit("Ask somebody", { agent_name: ORCHESTRATOR });
  await until("the child thinks", () => provider.requestsOf("What is 6 times 7?").length === 1, RUN_MS);
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
