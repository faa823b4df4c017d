import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { place } from "../../catalog/executor-folder.ts";
import { tempFolder } from "../../harness/temp-folder.ts";
import { AT_ONCE_MS, until } from "../../harness/until.ts";
import { invocation20 } from "../start-executor.ts";
import { assistantText, background, delta, failed, init, result, toolResult, toolUse } from "./claude-messages.ts";
import { ClaudePlace, DEADLINE_MS } from "./claude-place.ts";
import { answers, endingIn, expectFailure, expectSuccess, play } from "./played.ts";

setDefaultTimeout(60_000);

describe("the start", () => {
  test("a slow start counts as no stall of the provider", async () => {
    await using played = await play({ startMs: 2_500, steps: answers("Hi.") }, { CLAUDE_CODE_STALL_TIMEOUT: "1s" });
    await expectSuccess(played, "Hi.");
  });

  test.each([
    [
      "too old",
      { refusal: "error: unknown option '--await-initialize'\n" },
      /^Claude Code is too old: it does not know --await-initialize, and 2\.1\.327 or newer is required; update it: /,
    ],
    [
      "that refuses to begin",
      { answers: { initialize: { subtype: "error", error: "Already initialized" } } },
      /^Claude Code did not start: it refuses a control request: Already initialized$/m,
    ],
    [
      "that answers in an unknown form",
      { answers: { get_settings: { subtype: "success", response: { errors: 1 } } } },
      /^Claude Code did not start: its answer to get_settings has an unknown form$/m,
    ],
  ] as const)("a program %s: a fault of the machine, and no prompt", async (_, scenario, reason) => {
    await using played = await play(scenario);
    await expectFailure(played, "not-started", reason, 78);
    expect(played.received().filter(({ type }) => type === "user")).toEqual([]);
  });

  test.each([
    ["cat", "not-started", /^Claude Code did not start: it refuses a control request: agent-runner/, 78],
    ['echo "$@"', "no-result", /^Claude Code ended without a result: it printed "--print --verbose/, 1],
    ["true", "no-result", /^Claude Code ended without a result\n$/, 1],
    ["false", "process-died", /^Claude Code exited with code 1\n$/, 1],
  ] as const)("another program: %s", async (program, kind, reason, exit) => {
    await using at = await ClaudePlace.open([]);
    const path = place(at.folder, "other", `#!/bin/sh\nexec ${program}\n`);
    const executor = await at.start(invocation20("Go."), { CLAUDE_CODE_PATH: path });
    expect({ exit: await executor.ended, stderr: executor.stderr() }).toEqual({
      exit,
      stderr: expect.stringMatching(reason),
    });
    expect(at.events("ending")).toMatchObject([{ reason: kind }]);
  });

  test("a program that cannot be started", async () => {
    await using at = await ClaudePlace.open([]);
    const path = place(at.folder, "broken", "#!/no/such/interpreter\n");
    const executor = await at.start(invocation20("Go."), { CLAUDE_CODE_PATH: path });
    expect({ exit: await executor.ended, stderr: executor.stderr() }).toEqual({
      exit: 78,
      stderr: `Claude Code did not start: cannot start ${path}: ENOENT\n`,
    });
  });
});

describe("the end", () => {
  test("killed in the middle: keeps the partial text", async () => {
    await using played = await play({ steps: [{ say: init() }, { say: delta("Half a") }, { kill: "SIGKILL" }] });
    await expectFailure(played, "process-died", /^Claude Code was ended by SIGKILL\n$/);
    expect(played.at.api.outline()).toContain("message assistant");
  });

  test("killed after the result, without background tasks: the result counts", async () => {
    await using played = await play({ steps: [...answers("Hi."), { kill: "SIGKILL" }] });
    await expectSuccess(played, "Hi.");
  });

  test("no result: the exit code and stderr decide", async () => {
    await using quiet = await play({ steps: [{ say: init() }, { exit: 0 }] });
    await expectFailure(quiet, "no-result", /^Claude Code ended without a result\n$/);
  });

  test.each([
    ["execution-error", failed("error_during_execution", ["it broke"]), /^Claude Code failed: it broke\n$/],
    ["max-turns", failed("error_max_turns"), /^Claude Code reached its limit of 2 turns/],
  ])("%s, with exit code 1", async (kind, say, reason) => {
    await using played = await play({ steps: [{ say: init() }, { say }, { exit: 1 }] });
    await expectFailure(played, kind, reason);
  });

  test("a background subagent goes on after the result, until its answer", async () => {
    await using played = await play({
      steps: [
        { say: init() },
        { say: background("research") },
        { say: assistantText("Started.") },
        { say: result("Started.") },
        { say: toolUse("s1", "Read", {}, { parent_tool_use_id: "agent" }) },
        { say: toolResult("s1", "text", { parent_tool_use_id: "agent" }) },
        { say: background() },
        { say: init() },
        { say: assistantText("Found.") },
        { say: result("Found.") },
      ],
    });
    await expectSuccess(played, "Found.");
    expect(played.at.events("post_tool")).toMatchObject([{ parent_tool_use_id: "agent", tool_output: "text" }]);
  });

  test("stdin that the program has closed is no failure", async () => {
    await using played = await play(
      { steps: [{ closeStdin: true }, { askOnly: { subtype: "x" }, id: "q" }, ...answers("Hi."), { exit: 0 }] },
      {},
      invocation20("p".repeat(4_000_000)),
    );
    await expectSuccess(played, "Hi.");
  });

  test("a process that holds stdout does not keep the turn open", async () => {
    using folder = tempFolder();
    const hold = place(folder.path, "hold");
    await using played = await play({ steps: [{ holdStdoutWhile: hold }, ...answers("Hi."), { exit: 0 }] });
    await expectSuccess(played, "Hi.");
    rmSync(hold);
  });

  test("a stop ends a program that ignores everything", async () => {
    await using played = await play({ isStubborn: true, answers: { interrupt: null }, steps: [{ say: init() }] });
    await played.at.received("message user");
    const begun = performance.now();
    played.executor.process.kill("SIGTERM");
    expect(await played.executor.ended).toBe(143);
    expect(performance.now() - begun).toBeLessThan(AT_ONCE_MS);
    expect(endingIn(played)).toMatchObject({ reason: "stopped" });
  });

  test("a stop before the prompt", async () => {
    await using played = await play({ answers: { initialize: null } });
    await until("initialize", () => played.received().length > 0, DEADLINE_MS);
    played.executor.process.kill("SIGTERM");
    expect(await played.executor.ended).toBe(143);
    expect(played.received().filter(({ type }) => type === "user")).toEqual([]);
  });

  test("a stop: the interrupted turn's partial text and result", async () => {
    await using played = await play({
      steps: [
        { say: init() },
        { say: delta("Half a") },
        { awaitInterrupt: true },
        { say: failed("error_during_execution") },
        { exit: 1 },
      ],
    });
    await played.at.received("message user");
    played.executor.process.kill("SIGTERM");
    expect(await played.executor.ended).toBe(143);
    expect(endingIn(played)).toMatchObject({ reason: "stopped" });
    expect(played.at.api.outline()).toContain("message assistant");
  });
});
