import { describe, expect, test } from "bun:test";
import { type Ending, endingOf } from "../../../executors/claude-code/endings.ts";
import { parseSettings } from "../../../executors/claude-code/settings.ts";
import type { AbortReason, Turn } from "../../../executors/claude-code/turn.ts";
import {
  background,
  failed,
  toolResult,
  init,
  providerFailed,
  result,
  retry,
  assistantText,
  turnOf,
  toolUse,
} from "./claude-messages.ts";

const parsed = parseSettings({ max_turns: 2, max_budget_usd: 0.5, stall_timeout: "2m", background_wait: 3 }, {});
if (!parsed.ok) throw new Error("bad settings");
const context = { settings: parsed.settings, stderr: "", otherHost: null };

function end(turn: Turn, more: Partial<typeof context> = {}): Ending {
  return endingOf(turn, { ...context, ...more });
}

function afterAbort(reason: AbortReason, turn: Turn): Ending {
  turn.abortReason = reason;
  return end(turn);
}

function afterThrow(turn: Turn, error: Error, stderr = ""): Ending {
  turn.thrown = error;
  return end(turn, { stderr });
}

const limited = {
  type: "rate_limit_event",
  rate_limit_info: { status: "rejected", resetsAt: 1_800_000_000, rateLimitType: "five_hour" },
};
const RESET = new Date(1_800_000_000_000).toISOString();

describe("endingOf", () => {
  test("success: the exact text of the result, or its data", () => {
    expect(end(turnOf(init(), assistantText("Hi.\n"), result("Hi.\n")))).toEqual({
      kind: "success",
      text: "Hi.\n",
      data: null,
    });
    expect(end(turnOf(init(), result("", { structured_output: { answer: 42 } })))).toEqual({
      kind: "success",
      text: '{"answer":42}',
      data: { answer: 42 },
    });
    expect(end(turnOf(init(), result("")))).toEqual({ kind: "success", text: "", data: null });
  });

  test("no answer of a model is no success, whatever Claude Code itself says", () => {
    const nothing = { modelUsage: {}, model_usage_since_last_result: {}, num_turns: 0 };
    const own = { message: { model: "<synthetic>", content: [{ type: "text", text: "/login isn't available" }] } };
    expect(end(turnOf(init(), assistantText("", own), result("/login isn't\navailable", nothing)))).toEqual({
      kind: "no-result",
      reason: "No model answered the prompt: /login isn't available",
    });
    expect(end(turnOf(init(), result("", nothing)))).toMatchObject({ reason: "No model answered the prompt" });
    expect(end(turnOf(init(), assistantText("Hi."), result("Hi.", nothing)))).toMatchObject({ kind: "success" });
  });

  test.each([
    ["error_max_turns", "max-turns", "Claude Code reached its limit of 2 turns (max_turns)"],
    ["error_max_budget_usd", "max-budget", "Claude Code used up its budget of $0.5 (max_budget_usd)"],
    [
      "error_max_structured_output_retries",
      "wrong-output",
      "Claude Code's answer does not match the blueprint's output_schema",
    ],
    ["error_during_execution", "execution-error", "Claude Code failed without a reason"],
    ["error_of_the_future", "execution-error", "Claude Code failed without a reason"],
  ] as const)("%s is %s", (subtype, kind, reason) => {
    expect(end(turnOf(init(), failed(subtype, ["[ede_diagnostic] result_type=user"])))).toEqual({ kind, reason });
  });

  test("an error result counts even if the stream throws after it", () => {
    const turn = turnOf(init(), failed("error_max_turns"));
    expect(afterThrow(turn, new Error("Claude Code returned an error result"))).toMatchObject({ kind: "max-turns" });
  });

  test.each([
    [
      "Not logged in · Please run /login",
      null,
      "authentication_failed",
      "not-logged-in",
      /^Claude Code is not logged in; log in on this machine/,
    ],
    [
      "Failed to authenticate. API Error: 403",
      403,
      "authentication_failed",
      "authentication",
      /^Claude Code could not authenticate: Failed to authenticate.* 403; log in/,
    ],
    ["API Error: 401", 401, "unknown", "authentication", /401/],
    ["Your account is on hold", null, "account_on_hold", "authentication", /on hold/],
    [
      "API Error: Request rejected (429)",
      429,
      "rate_limit",
      "provider-unavailable",
      /^The provider could not answer Claude Code: API Error: Request rejected \(429\)$/,
    ],
    ["API Error: 529 Overloaded", 529, "server_error", "provider-unavailable", /529/],
    ["API Error: 502", 502, "unknown", "provider-unavailable", /502/],
    ["API Error: Connection refused", null, "server_error", "provider-unavailable", /Connection refused/],
    [
      "Credit balance is too low",
      400,
      "billing_error",
      "usage-limit",
      /^The usage limit of the account is reached: Credit/,
    ],
    ["You've hit your session limit · resets 3pm", null, "rate_limit", "usage-limit", /resets 3pm/],
    [
      "API Error: 400 prompt is too long",
      400,
      "invalid_request",
      "execution-error",
      /^Claude Code failed: API Error: 400 prompt is too long$/,
    ],
    ["There's an issue with the selected model", 404, "model_not_found", "execution-error", /selected model/],
  ] as const)("an error in a result of subtype success, %j, is a failure", (text, status, error, kind, reason) => {
    expect(end(turnOf(init(), ...providerFailed(text, status, error)))).toMatchObject({
      kind,
      reason: expect.stringMatching(reason),
    });
  });

  test("a usage limit, with its reset time", () => {
    const turn = turnOf(init(), limited, ...providerFailed("You've hit your limit", 429, "rate_limit"));
    const words = "You've hit your limit";
    const reason = `The usage limit of the account is reached (five_hour); it resets at ${RESET}: ${words}`;
    expect(end(turn)).toEqual({ kind: "usage-limit", reason, resetsAt: RESET });
    expect(afterAbort("usage-limit", turnOf(init(), limited, retry(429, "rate_limit")))).toMatchObject({
      kind: "usage-limit",
      resetsAt: RESET,
    });
    const paid = { ...limited, rate_limit_info: { ...limited.rate_limit_info, isUsingOverage: true } };
    expect(end(turnOf(init(), paid, ...providerFailed("API Error", 429, "rate_limit")))).toMatchObject({
      kind: "provider-unavailable",
    });
  });

  test.each([
    [1_800_000_000, RESET],
    [1_800_000_000_000, RESET],
    [1_800_000_000.4, "2027-01-15T08:00:00.400Z"],
    [0, null],
    [-5, null],
    [1e18, null],
  ])("a reset at %p is %p: seconds, ms, or no moment", (resetsAt, expected) => {
    const told = { ...limited, rate_limit_info: { ...limited.rate_limit_info, resetsAt } };
    const turn = turnOf(init(), told, ...providerFailed("You've hit your limit", 429, "rate_limit"));
    expect(end(turn)).toMatchObject({ kind: "usage-limit", resetsAt: expected });
  });

  test("a denied permission fails the run only if it was the agent's last tool use", () => {
    const denials = { permission_denials: [{ tool_name: "Bash", tool_use_id: "t1", tool_input: {} }] };
    const refused = [init(), toolUse("t1", "Bash"), toolResult("t1", "denied", { is_error: true })];
    const reason =
      "Claude Code ended after it was denied a permission (Bash): " +
      "allow it with allowed_tools, or set another permission_mode";
    expect(end(turnOf(...refused, result("I could not.", denials)))).toEqual({ kind: "refused-permissions", reason });
    expect(
      end(turnOf(...refused, toolUse("t2", "Read"), toolResult("t2", "x"), result("Done.", denials))),
    ).toMatchObject({
      kind: "success",
    });
  });

  test.each([
    ["stopped", "stopped", "Claude Code was stopped"],
    [
      "credentials-refused",
      "not-logged-in",
      "Claude Code could not authenticate: the provider rejects its credentials (401)",
    ],
    [
      "stalled",
      "provider-unavailable",
      "The provider gave no answer for 120 s (stall_timeout); its last error was 529",
    ],
    [
      "background",
      "still-running-in-background",
      "Claude Code's turn was over, but background tasks continued for 3 s (background_wait) and were ended: " +
        '"sleep 1000"',
    ],
  ] as const)("an aborted turn, %s, whatever its result", (abortReason, kind, reason) => {
    const turn = turnOf(init(), retry(529, "overloaded"), background("sleep\n1000"), result("So far."));
    expect(afterAbort(abortReason, turn)).toEqual({ kind, reason: expect.stringContaining(reason) });
  });

  test("a missing conversation, with the host that may have it", () => {
    const turn = turnOf(failed("error_during_execution", ["No conversation found with session ID: c0ffee"]));
    const reason = "Claude Code cannot resume the session: No conversation found with session ID: c0ffee";
    expect(end(turn)).toEqual({ kind: "conversation-lost", reason });
    expect(endingOf(turn, { ...context, otherHost: "alpha" })).toEqual({
      kind: "conversation-lost",
      reason: `${reason}; it ran on alpha, and a conversation stays on its machine`,
    });
  });

  test("a refused start", () => {
    const turn = turnOf(
      failed("error_during_execution", ["--dangerously-skip-permissions cannot be used with root"], {
        startup_failure_reason: "bypass_root",
      }),
    );
    expect(end(turn)).toEqual({
      kind: "not-started",
      reason: "Claude Code did not start (bypass_root): --dangerously-skip-permissions cannot be used with root",
    });
  });

  test("no result, and a process that died, with its stderr", () => {
    expect(end(turnOf(init(), assistantText("I begin")), { stderr: "out of\nmemory\n" })).toEqual({
      kind: "no-result",
      reason: "Claude Code ended without a result: out of memory",
    });
    const died = new Error("Claude Code was ended by SIGKILL");
    expect(afterThrow(turnOf(init()), died)).toEqual({ kind: "process-died", reason: died.message });
    expect(afterThrow(turnOf(), died, "boom")).toEqual({ kind: "process-died", reason: `${died.message}: boom` });
  });

  test("a process that died after its result, with or without background tasks", () => {
    const turn = turnOf(init(), background("sleep 5"), result("Started."));
    expect(afterThrow(turn, new Error("died"))).toMatchObject({ kind: "process-died" });
    expect(afterThrow(turnOf(init(), result("Done.")), new Error("exited with code 1"))).toMatchObject({
      kind: "success",
      text: "Done.",
    });
    expect(end(turnOf(init(), background("sleep 5"), result("Started."), background(), init()))).toMatchObject({
      kind: "no-result",
    });
  });
});
