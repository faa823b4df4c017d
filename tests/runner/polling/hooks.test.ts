import { expect, test } from "bun:test";
import { CoordinatorClient } from "../../../src/client/coordinator-client.ts";
import { noAuthorization } from "../../harness/authorization.ts";
import type { Run } from "../../../src/protocol/run.ts";
import { Hooks } from "../../../src/runner/polling/hooks.ts";
import { type StubServer, stubServer } from "../../client/stub-server.ts";
import { until } from "../../harness/until.ts";

const AT = "2026-01-31T08:00:00.000000+00:00";
const LATER = "2026-01-31T08:00:01.000000+00:00";
const EARLIER = "2026-01-31T07:00:00.000000+00:00";

const RUN = {
  run_id: "run_1",
  session_id: "ses_1",
  type: "start_session",
  agent_name: "guarded",
  parameters: { prompt: "p" },
  status: "claimed",
  claimed_at: AT,
} as unknown as Run;

const HOOK = { type: "agent", agent_name: "guard", timeout_seconds: 0 };

const event = (event_type: string, timestamp: string, hook = "on_run_start"): object => ({
  event_type,
  session_id: "ses_1",
  timestamp,
  tool_name: `hook:${hook}:guard`,
});

function coordinator(agent: object | number, events: object[] = []): StubServer {
  return stubServer(({ url }) => {
    if (url.startsWith("/sessions/ses_1/events")) return Response.json({ events });
    return typeof agent === "number"
      ? Response.json({ detail: "no" }, { status: agent })
      : Response.json({ name: "guarded", description: "", ...agent });
  });
}

const hooksAt = (server: StubServer, graceMs: number): Hooks =>
  new Hooks(new CoordinatorClient(server.url, noAuthorization), graceMs);

const HOUR_MS = 3_600_000;
/** A poll is open since before every claim; or none is. */
const ALWAYS = 0;
const NEVER = Number.POSITIVE_INFINITY;
const hooked = { hooks: { on_run_start: HOOK } };

test.each([
  ["of the first generation", { ...RUN, parameters: undefined, prompt: "p" }, hooked],
  ["without an agent", { ...RUN, agent_name: null }, hooked],
  ["whose agent has no hook", RUN, {}],
  ["whose agent has another hook", RUN, { hooks: { on_run_finish: HOOK } }],
  ["whose agent is gone", RUN, 404],
  ["whose agent cannot be resolved", RUN, 422],
])("Hooks: a claim %s has no hook", async (_, run, agent) => {
  await using server = coordinator(agent);
  expect(await hooksAt(server, HOUR_MS).stateOf(run as unknown as Run, ALWAYS)).toBe("none");
});

test("Hooks: rejects if the coordinator cannot say", async () => {
  await using server = coordinator(500);
  expect(await hooksAt(server, HOUR_MS).stateOf(RUN, NEVER).catch(String)).toContain("500");
});

test.each([
  ["no event", [], "working"],
  ["its start", [event("hook_start", LATER)], "working"],
  ["the end of an earlier run's hook", [event("hook_complete", EARLIER)], "working"],
  ["the end of another hook", [event("hook_start", LATER), event("hook_complete", LATER, "on_run_finish")], "working"],
  ["its end", [event("hook_start", LATER), event("hook_complete", LATER)], "over"],
  ["its failure", [event("hook_start", LATER), event("hook_failed", LATER)], "over"],
  ["an end without a time", [event("hook_complete", "?")], "working"],
])("Hooks: a hook with %s in the session", async (_, events, state) => {
  await using server = coordinator(hooked, events);
  expect(await hooksAt(server, HOUR_MS).stateOf(RUN, NEVER)).toBe(state as never);
});

test("Hooks: while a poll is open, the end of the hook is left to the poll", async () => {
  await using server = coordinator(hooked, [event("hook_complete", LATER)]);
  expect(await hooksAt(server, HOUR_MS).stateOf(RUN, ALWAYS)).toBe("working");
});

test("Hooks: a poll that was opened after the claim was seen does not bring it", async () => {
  const events = [event("hook_start", LATER)];
  await using server = coordinator(hooked, events);
  const hooks = hooksAt(server, HOUR_MS);
  expect(await hooks.stateOf(RUN, ALWAYS)).toBe("working");
  const openedMs = performance.now();
  expect(await hooks.stateOf(RUN, openedMs)).toBe("working");
  events.push(event("hook_complete", LATER));
  expect(await hooks.stateOf(RUN, openedMs)).toBe("over");
});

test.each([
  ["continue", "over"],
  ["block", "unanswered"],
])("Hooks: after the hook's time with on_error %s the claim is %s, with a poll or without", async (on_error, state) => {
  await using server = coordinator({ hooks: { on_run_start: { ...HOOK, on_error } } });
  const hooks = hooksAt(server, 20);
  expect(await hooks.stateOf(RUN, NEVER)).toBe("working");
  await until("the hook's time to pass", async () => (await hooks.stateOf(RUN, ALWAYS)) === state);
  hooks.retain(["run_1"]);
  expect(await hooks.stateOf(RUN, NEVER)).toBe(state as never);
  hooks.retain([]);
  expect(await hooks.stateOf(RUN, NEVER)).toBe("working");
});
