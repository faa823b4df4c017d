import { expect, setDefaultTimeout, test } from "bun:test";
import { inTurn } from "../fakes/messages-api/messages-api.ts";
import { says, stalls, uses } from "../fakes/messages-api/reply.ts";
import { CLAUDE_TEST_TIMEOUT_MS, ClaudeWorld, RUN_MS } from "../harness/claude-world.ts";
import { processesWith } from "../harness/processes.ts";
import { until } from "../harness/until.ts";

setDefaultTimeout(CLAUDE_TEST_TIMEOUT_MS);

/** Everything that belongs to the run: executor, Claude Code, its tools. */
const processesOf = (sessionId: string): number[] => processesWith("AGENT_SESSION_ID", sessionId);

test("a stop in the middle of a tool ends tool, Claude Code and executor, and the run is reported stopped", async () => {
  await using world = await ClaudeWorld.open();
  world.provider.conversation("dig", inTurn(uses("Bash", { command: "echo yes > digging; sleep 300" })));
  const { api } = await world.up();
  const run = await api.submit("dig");
  await world.file("digging", RUN_MS);
  expect(processesOf(run.session_id).length).toBeGreaterThan(3);
  await api.stop(run.run_id);
  await api.reached(run.run_id, "stopped", RUN_MS);
  await until("no process of the run is left", () => processesOf(run.session_id).length === 0);
  expect((await api.events(run.session_id)).map(({ event_type }) => event_type)).not.toContain("session_stop");
});

test("a stop while the agent writes: what it has written is kept, and the session is not finished", async () => {
  await using world = await ClaudeWorld.open();
  const never = new Promise(() => {});
  world.provider.conversation("tell me", inTurn(says("once upon a time there was", { pause: () => never })));
  const { api } = await world.up();
  const run = await api.submit("tell me");
  await until("it writes", () => world.provider.requests.length === 1, RUN_MS);
  // The first words are on their way to Claude Code, which says nothing before they are whole.
  await until("the session is bound", async () => (await api.session(run.session_id)).executor_session_id !== null);
  await api.stop(run.run_id);
  await api.reached(run.run_id, "stopped", RUN_MS);
  const events = await api.events(run.session_id);
  expect(events.filter(({ role }) => role === "assistant").map(({ content }) => content?.[0]?.text)).toEqual(["once upon"]);
  expect(events.map(({ event_type }) => event_type)).not.toContain("session_stop");
});

test("a provider that never answers: the run time-out ends the run with its reason, and no process stays", async () => {
  await using world = await ClaudeWorld.open();
  world.provider.conversation("hello?", inTurn(stalls()));
  const { api } = await world.up(["--run-timeout", "6s"]);
  const run = await api.submit("hello?");
  await api.reached(run.run_id, "failed", RUN_MS);
  expect((await api.run(run.run_id)).error).toContain("took longer than the run time-out of 6 s");
  await until("no process of the run is left", () => processesOf(run.session_id).length === 0);
  expect(world.provider.requests.map(({ state }) => state)).not.toContain("open");
});

test("a Claude Code that is killed: the run fails with that reason, and its tool does not stay", async () => {
  await using world = await ClaudeWorld.open();
  world.provider.conversation("dig", inTurn(uses("Bash", { command: "echo $PPID > digging; sleep 300" })));
  const { api } = await world.up();
  const run = await api.submit("dig");
  const claude = Number(await world.file("digging", RUN_MS));
  process.kill(claude, "SIGKILL");
  await api.reached(run.run_id, "failed", RUN_MS);
  expect((await api.run(run.run_id)).error).toMatch(/SIGKILL/);
  await until("no process of the run is left", () => processesOf(run.session_id).length === 0);
});

test("a runner that is killed and started again takes up the run, whose agent finishes its answer, and resumes the session", async () => {
  await using world = await ClaudeWorld.open();
  const thought = Promise.withResolvers<void>();
  world.provider.conversation("think", inTurn(says("a deep thought", { after: thought.promise }), ({ prompts }) => says(prompts.join(", "))));
  const { api } = await world.coordinator();
  const first = world.runner(api.url, "claude-code");
  const run = await api.submit("think");
  await until("it thinks", () => world.provider.requests.length === 1, RUN_MS);
  first.signal("SIGKILL");
  await first.exited;
  const second = world.runner(api.url, "claude-code");
  await second.line(new RegExp(`Took up run ${run.run_id}, whose executor lives`));
  thought.resolve();
  await api.reached(run.run_id, "completed", RUN_MS);
  expect(await api.result(run.session_id)).toBe("a deep thought");
  expect(world.provider.requests).toHaveLength(1);
  const next = await api.submit("and another", { type: "resume_session", session_id: run.session_id });
  await api.reached(next.run_id, "completed", RUN_MS);
  expect(await api.result(run.session_id)).toBe("think, and another");
});

test("a session whose run was stopped in the middle of a tool can be resumed", async () => {
  await using world = await ClaudeWorld.open();
  // How many messages there are after an interruption is Claude Code's own matter.
  world.provider.conversation("dig", ({ prompts }) => (prompts.includes("what now?") ? says(`back after: ${prompts[0]}`) : uses("Bash", { command: "echo yes > digging; sleep 300" })));
  const { api } = await world.up();
  const run = await api.submit("dig");
  await world.file("digging", RUN_MS);
  await api.stop(run.run_id);
  await api.reached(run.run_id, "stopped", RUN_MS);
  const resumed = await api.submit("what now?", { type: "resume_session", session_id: run.session_id });
  await api.reached(resumed.run_id, "completed", RUN_MS);
  expect(await api.result(run.session_id)).toBe("back after: dig");
});
