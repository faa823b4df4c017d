import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Step } from "../../fakes/claude-program/step.ts";
import { invocation20 } from "../start-executor.ts";
import { assistantText, background, init, result, toolResult, toolUse } from "./claude-messages.ts";
import { answers, endingIn, expectFailure, expectSuccess, play } from "./played.ts";

setDefaultTimeout(60_000);

describe("the messages of Claude Code", () => {
  test("a tool result of 10 MiB in one line, in small pieces, with characters cut in two", async () => {
    const big = "é€🎉".repeat(1_200_000);
    await using played = await play({
      steps: [
        { say: init() },
        { say: toolUse("t1", "Read") },
        { inPieces: toolResult("t1", big), bytes: 65_521 },
        { inPieces: assistantText("Grüße 🎉"), bytes: 1 },
        { say: result("Grüße 🎉") },
      ],
    });
    await expectSuccess(played, "Grüße 🎉");
    expect(played.at.events("post_tool")).toMatchObject([{ tool_output: expect.stringMatching(/^é€🎉.*omitted/s) }]);
    expect(JSON.stringify(played.at.events("post_tool"))).not.toContain("\uFFFD");
  });

  test("a result of 10 MiB is exact", async () => {
    const big = "0123456789".repeat(1024 * 1024);
    await using played = await play({ steps: answers(big) });
    await expectSuccess(played, big);
  });

  test("Windows line ends, empty lines, and a last line without its end", async () => {
    const last = JSON.stringify(result("Hi."));
    await using played = await play({
      steps: [
        { raw: `\n\r\n${JSON.stringify(init())}\r\n` },
        { say: assistantText("Hi.") },
        { raw: last },
        { exit: 0 },
      ],
    });
    await expectSuccess(played, "Hi.");
  });

  test("unknown types are ignored, and lines that are no messages are told", async () => {
    const unknown = [
      { type: "system", subtype: "compact_boundary", compact_metadata: { trigger: "auto", pre_tokens: 150_000 } },
      { type: "system", subtype: "status", status: "compacting" },
      { type: "from_the_future", payload: [1, 2] },
      { type: "control_cancel_request", request_id: "nobody" },
      { type: "assistant", message: "not even an object" },
      { type: "user", message: { role: "user", content: "a summary of the conversation so far" } },
      { type: "keep_alive" },
    ];
    const steps: Step[] = [
      { raw: "Warning: something\n" },
      ...unknown.map((say) => ({ say })),
      { raw: '3\nnull\n[]\n{"type":1}\n{"half":\n' },
      ...answers("Hi."),
    ];
    await using played = await play({ steps });
    await expectSuccess(played, "Hi.");
    expect(endingIn(played)?.["notes"]).toContain(
      '6 lines of Claude Code were no messages; the first was "Warning: something"',
    );
    await using verbose = await play({ steps }, { CLAUDE_CODE_DEBUG_MESSAGES: "true" });
    expect(await verbose.executor.ended).toBe(0);
    const lines = verbose.executor.stderr().trimEnd().split("\n");
    expect(lines).toContain("claude-code: ignored messages of type system compact_boundary");
    expect(lines).toContain("claude-code: ignored messages of type from_the_future");
    expect(new Set(lines).size).toBe(lines.length);
  });

  test("a flood of stderr does not stop it, and its end explains a failure", async () => {
    await using played = await play({ steps: [{ stderrBytes: 50_000_000 }, ...answers("Hi.")] });
    await expectSuccess(played, "Hi.");
    await using broken = await play({ steps: [{ stderrBytes: 50_000_000 }, { exit: 3 }] });
    await expectFailure(broken, "process-died", /^Claude Code exited with code 3: .*noise noise/);
    expect(broken.executor.stderr().length).toBeLessThan(2_000);
  });

  test("the usage of several models and turns is summed", async () => {
    const model = (costUSD: number): object => ({
      inputTokens: 1,
      outputTokens: 10,
      cacheReadInputTokens: 100,
      cacheCreationInputTokens: 1000,
      costUSD,
    });
    const both = { modelUsage: {}, model_usage_since_last_result: { opus: model(0.5), haiku: model(0.25) } };
    await using played = await play({
      steps: [
        { say: init() },
        { say: background("a subagent") },
        { say: assistantText("One.") },
        { say: result("One.", both) },
        { say: init() },
        { say: background() },
        { say: assistantText("Two.") },
        { say: result("Two.", both) },
      ],
    });
    await expectSuccess(played, "Two.");
    expect(endingIn(played)).toMatchObject({
      turns: 4,
      duration_ms: 600,
      cost_usd: 1.5,
      tokens: { input: 4, output: 40, cache_read: 400, cache_write: 4000 },
    });
  });

  test("a result whose lesser fields have another form still ends the turn", async () => {
    const odd = {
      modelUsage: { opus: null },
      model_usage_since_last_result: 1,
      permission_denials: "none",
      errors: {},
    };
    await using played = await play({ steps: [{ say: assistantText("Hi.") }, { say: result("Hi.", odd) }] });
    await expectSuccess(played, "Hi.");
  });
});

describe("control requests of Claude Code", () => {
  test("each gets its answer, between messages and in any number; unknown kinds get an error", async () => {
    const tool = (id: string): object => ({
      subtype: "can_use_tool",
      tool_name: "Bash",
      input: { command: id },
      tool_use_id: id,
    });
    const many = Array.from({ length: 200 }, (_, i) => ({ askOnly: tool(`t${i}`), id: `q${i}` }));
    await using played = await play({
      steps: [
        { say: init() },
        ...many,
        { say: assistantText("Hi.") },
        { ask: { subtype: "hook_callback", callback_id: "h1" }, id: "hook" },
        { ask: { subtype: "mcp_message", server_name: "s", message: {} }, id: "mcp" },
        { ask: { subtype: "from_the_future" }, id: "future" },
        { ask: { subtype: "elicitation", mcp_server_name: "s", message: "Your name?" }, id: "elicit" },
        { raw: '{"type":"control_request"}\n{"type":"control_request","request_id":"x","request":{}}\n' },
        { raw: '{"type":"control_response","response":{"subtype":"success","request_id":"nobody"}}\n' },
        { raw: '{"type":"control_response"}\n' },
        { say: result("Hi.") },
      ],
    });
    await expectSuccess(played, "Hi.");
    const responses = played
      .received()
      .filter(({ type }) => type === "control_response")
      .map(({ response }) => response as Record<string, unknown>);
    expect(responses).toHaveLength(204);
    const behavior = process.getuid?.() === 0 ? "allow" : "deny";
    for (const [i, { request_id, subtype, response }] of responses.slice(0, 200).entries())
      expect({ request_id, subtype, response }).toMatchObject({
        request_id: `q${i}`,
        subtype: "success",
        response: { behavior, toolUseID: `t${i}` },
      });
    expect(responses.slice(200)).toEqual([
      ...["hook_callback", "mcp_message", "from_the_future"].map((kind, i) => ({
        request_id: ["hook", "mcp", "future"][i],
        subtype: "error",
        error: `agent-runner does not support the control request ${kind}`,
      })),
      { request_id: "elicit", subtype: "success", response: { action: "decline" } },
    ]);
  });
});

describe("the prompt", () => {
  test("reaches the program to the letter, in one line", async () => {
    const long = "🎉".repeat(1_000_000);
    const prompt = `/login @/etc/passwd\n\r\n\u2028\u2029\u0000\uD800 "${long}" {"type":"control_request"}`;
    await using played = await play({ steps: answers("Hi.") }, {}, invocation20(prompt));
    await expectSuccess(played, "Hi.");
    const [user, ...more] = played.received().filter(({ type }) => type === "user");
    expect(more).toEqual([]);
    expect(user).toEqual({
      type: "user",
      message: { role: "user", content: prompt },
      parent_tool_use_id: null,
      client_composed: true,
    });
  });
});
