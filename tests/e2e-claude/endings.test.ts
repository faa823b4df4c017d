import { expect, setDefaultTimeout, test } from "bun:test";
import { inTurn, type Script } from "../fakes/messages-api/messages-api.ts";
import { refuses, says, uses } from "../fakes/messages-api/reply.ts";
import { API_KEY, CLAUDE_TEST_TIMEOUT_MS, ClaudeWorld, RUN_MS, sharedClaudeWorld } from "../harness/claude-world.ts";
import type { ShownEvent } from "../harness/coordinator-api.ts";
import { until } from "../harness/until.ts";

setDefaultTimeout(CLAUDE_TEST_TIMEOUT_MS);

const TOKEN = "sk-ant-oat01-only-for-tests";
/** The headers of a refusal. `resetSeconds`: since 1970. */
const usageLimit = (resetSeconds: number): Record<string, string> => ({
  "anthropic-ratelimit-unified-status": "rejected",
  "anthropic-ratelimit-unified-reset": String(resetSeconds),
  "anthropic-ratelimit-unified-representative-claim": "five_hour",
  "anthropic-ratelimit-unified-5h-status": "rejected",
  "anthropic-ratelimit-unified-5h-reset": String(resetSeconds),
  "anthropic-ratelimit-unified-5h-utilization": "1.0",
  "retry-after": "3600",
});
/** Claude Code with a subscription: only then it reports usage limits. It retries once, and may only run `echo`. */
const SETTINGS = {
  ANTHROPIC_API_KEY: "",
  CLAUDE_CODE_OAUTH_TOKEN: TOKEN,
  CLAUDE_CODE_MAX_RETRIES: "1",
  CLAUDE_CODE_PERMISSION_MODE: "dontAsk",
  CLAUDE_CODE_ALLOWED_TOOLS: "Bash(echo:*)",
  CLAUDE_CODE_MAX_TURNS: "3",
  CLAUDE_CODE_MAX_BUDGET_USD: "1",
};

const shared = sharedClaudeWorld([], SETTINGS);

const endingOf = (events: readonly ShownEvent[]): ShownEvent | undefined =>
  events.find(({ event_type }) => event_type === "ending");

const FAILURES: readonly [what: string, script: Script, kind: string, error: RegExp][] = [
  [
    "its turns are used up",
    ({ replies }) => uses("Bash", { command: `echo ${replies}` }),
    "max-turns",
    /its limit of 3 turns/,
  ],
  [
    "its budget is used up",
    inTurn(uses("Bash", { command: "echo rich" }, { outputTokens: 1_000_000 })),
    "max-budget",
    /its budget of \$1 /,
  ],
  ["the request is invalid", inTurn(refuses(400, "messages: too odd")), "execution-error", /400 messages: too odd/],
  [
    "the provider limits the request rate",
    inTurn(refuses(429, "slow down", { "retry-after": "1" })),
    "provider-unavailable",
    /could not answer.*slow down/,
  ],
  ["the provider is overloaded", inTurn(refuses(529, "Overloaded")), "provider-unavailable", /could not answer.*529/],
  [
    "the provider has an error",
    inTurn(refuses(500, "Internal server error")),
    "provider-unavailable",
    /could not answer.*500/,
  ],
  [
    "the connection breaks off",
    inTurn(says("never the whole of it", { cutAfterDeltas: 2 })),
    "provider-unavailable",
    /could not answer.*[Cc]onnection/,
  ],
  [
    "the credit is used up",
    inTurn(refuses(400, "Your credit balance is too low to access the Anthropic API.")),
    "usage-limit",
    /Credit balance is too low/,
  ],
  [
    "its last tool call is not permitted",
    inTurn(uses("Bash", { command: "touch forbidden" }), says("I may not.")),
    "refused-permissions",
    /denied a permission \(Bash\)/,
  ],
];

test.concurrent.each(FAILURES)(
  "when %s, the run fails with that reason, and its session is not finished",
  async (what, script, kind, error) => {
    const { provider, api } = shared;
    provider.conversation(what, script);
    const run = await api.submit(what);
    await api.reached(run.run_id, "failed", RUN_MS);
    const isTransient = kind === "provider-unavailable" || kind === "usage-limit";
    expect(await api.run(run.run_id)).toMatchObject({
      error: expect.stringMatching(error),
      reason: isTransient ? "temporary" : null,
    });
    const events = await api.events(run.session_id);
    expect(endingOf(events)?.reason).toBe(kind);
    expect(events.map(({ event_type }) => event_type)).not.toContain("session_stop");
    expect((await api.session(run.session_id)).status).not.toBe("finished");
    expect(JSON.stringify(events) + shared.log()).not.toContain(TOKEN);
  },
);

test("after a usage limit the retry and all other runs wait for its reset", async () => {
  await using world = await ClaudeWorld.open();
  const { provider } = world;
  const { api, process } = await world.up([], SETTINGS);
  const reset = Math.ceil(Date.now() / 1000) + 3_600;
  const at = new Date(reset * 1000).toISOString();
  provider.conversation("", inTurn(refuses(429, "No more.", usageLimit(reset))));
  const run = await api.submit("until then", { max_attempts: 3, retry_delay_seconds: 1 });
  await api.reached(run.run_id, "failed", RUN_MS);
  const { retried_by, reason, error } = await api.run(run.run_id);
  expect({ reason, error }).toEqual({
    reason: "temporary",
    error: expect.stringMatching(new RegExp(`usage limit.*five_hour.*resets at ${at}`)),
  });
  const events = await api.events(run.session_id);
  expect(endingOf(events)).toMatchObject({ reason: "usage-limit", retry_at: at, limited_until: at });
  expect(JSON.stringify(events) + process.stdout()).not.toContain(TOKEN);
  expect(await api.run(retried_by ?? "none")).toMatchObject({ status: "pending", not_before: at });
  await process.line(new RegExp(`its limit is reached until ${at}.*taking no runs`), RUN_MS);
  const { stdout } = await world.run(["runners", "-c", api.url]);
  expect(stdout).toContain(`takes no runs: its limit is reached until ${at}`);
});

test.concurrent("the agent learns of a refused tool call, and the run succeeds if it finds another way", async () => {
  const [refused, allowed] = ["touch forbidden", "echo instead"].map((command) => uses("Bash", { command }));
  const { provider, api } = shared;
  provider.conversation(
    "touch it",
    inTurn(refused!, allowed!, ({ toolResults }) => says(toolResults.map(({ isError }) => isError).join())),
  );
  const run = await api.submit("touch it");
  await api.reached(run.run_id, "completed", RUN_MS);
  expect(await api.result(run.session_id)).toBe("true,false");
});

const RECOVERIES: readonly [string, Script][] = [
  ["overloaded", inTurn(({ attempt }) => (attempt === 1 ? refuses(529, "Overloaded") : says("at last")))],
  ["cut off", inTurn(({ attempt }) => (attempt === 1 ? says("not this one", { cutAfterDeltas: 2 }) : says("at last")))],
];

test.concurrent.each(RECOVERIES)(
  "a provider that is %s once fails no run, and leaves no trace in the result",
  async (what, script) => {
    const { provider, api } = shared;
    provider.conversation(`once ${what}`, script);
    const run = await api.submit(`once ${what}`);
    await api.reached(run.run_id, "completed", RUN_MS);
    expect(await api.result(run.session_id)).toBe("at last");
    expect((await api.events(run.session_id)).filter(({ role }) => role === "assistant")).toHaveLength(1);
  },
);

test.concurrent("a provider that is down for a whole run fails one attempt; the retry succeeds", async () => {
  const { provider, api } = shared;
  let requests = 0;
  // Each attempt sends two requests (CLAUDE_CODE_MAX_RETRIES).
  provider.conversation("retry", () => (++requests <= 2 ? refuses(529, "Overloaded") : says("at last")));
  const run = await api.submit("retry", { max_attempts: 2, retry_delay_seconds: 0 });
  await api.reached(run.run_id, "failed", RUN_MS);
  const { retried_by } = await api.run(run.run_id);
  await api.reached(retried_by ?? "none", "completed", RUN_MS);
  expect(await api.result(run.session_id)).toBe("at last");
});

test("a key that the provider rejects is a fault of the machine: the run goes back at once", async () => {
  await using other = await ClaudeWorld.open();
  other.provider.conversation("who am I?", inTurn(refuses(401, "invalid x-api-key")));
  const { api: coordinator, process } = await other.up();
  const run = await coordinator.submit("who am I?");
  await process.line(/This machine cannot run the executor \(.*rejects its credentials \(401\)/, RUN_MS);
  const note = await until("the note", async () => (await coordinator.run(run.run_id)).note, RUN_MS);
  expect(note).toMatch(/rejects its credentials \(401\).*ANTHROPIC_API_KEY/);
  expect(["pending", "claimed", "running"]).toContain((await coordinator.run(run.run_id)).status);
  expect(note + process.stdout()).not.toContain(API_KEY);
});

test("without a login for Claude Code the runner does not start, and says how to log in", async () => {
  await using other = await ClaudeWorld.open();
  const started = other.start(["up", "--port", "0", "-x", "claude-code"], { env: { ANTHROPIC_API_KEY: "" } });
  expect(await started.exited).not.toBe(0);
  expect(started.stderr()).toMatch(/is not logged in\n.*claude auth login, or set ANTHROPIC_API_KEY/);
  expect(other.provider.requests).toEqual([]);
});
