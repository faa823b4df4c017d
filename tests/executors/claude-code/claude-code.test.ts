import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { claudeCodeForTests } from "../../../scripts/claude-code.ts";
import { message, refuses, says, stalls, text, toolUse, uses } from "../../fakes/messages-api/reply.ts";
import { place } from "../../catalog/executor-folder.ts";
import { until } from "../../harness/until.ts";
import { invocation20 } from "../start-executor.ts";
import { bash, CLAUDE_TIMEOUT_MS, ClaudePlace, DEADLINE_MS, SESSION } from "./claude-place.ts";

setDefaultTimeout(CLAUDE_TIMEOUT_MS);
// The first call may download Claude Code.
beforeAll(async () => void (await claudeCodeForTests()), 600_000);

describe("a turn that succeeds", () => {
  test("binds, sends events in order, and finishes the session last; the result is exact", async () => {
    const answer = "  Héllo \n\n`code`\t";
    await using at = await ClaudePlace.open([says(answer)]);
    const executor = await at.start({
      ...invocation20("Say it."),
      agent_blueprint: { system_prompt: "You are a parrot." },
    });
    expect({ exit: await executor.ended, stderr: executor.stderr() }).toEqual({ exit: 0, stderr: "" });
    expect(executor.stdout()).toBe(`${answer}\n`);
    expect(at.api.outline()).toEqual([
      `POST /sessions/${SESSION}/bind`,
      "message user",
      "message assistant",
      "result",
      "ending",
      "session_stop",
    ]);
    const [bind, , assistant, result, ending, stop] = at.api.calls.map(({ body }) => body);
    expect(bind).toMatchObject({
      executor_type: "claude-code",
      project_dir: at.folder,
      executor_session_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(assistant?.["content"]).toEqual([{ type: "text", text: answer }]);
    expect(result?.["result_text"]).toBe(answer);
    expect(ending).toMatchObject({
      reason: "success",
      turns: 1,
      tokens: { input: 10, output: 5 },
      claude_code_version: expect.stringContaining("2.1."),
    });
    expect(Number(ending?.["cost_usd"])).toBeGreaterThan(0);
    expect(stop).toMatchObject({ exit_code: 0, reason: "completed" });
    const [request] = at.provider.requests;
    expect(request?.history.system).toContain("You are a parrot.");
    expect(request?.history.prompts).toEqual(["Say it."]);
  });

  test("sends events before and after each tool, with errors and redacted secrets", async () => {
    await using at = await ClaudePlace.open([
      message([text("I look."), toolUse("Bash", { command: "echo here; exit 3" })]),
      bash("echo key: $ANTHROPIC_API_KEY"),
      says("Done."),
    ]);
    const executor = await at.start(invocation20("Look."));
    expect(await executor.ended).toBe(0);
    expect(at.api.outline().slice(2)).toEqual([
      "message assistant",
      "pre_tool",
      "post_tool",
      "pre_tool",
      "post_tool",
      "message assistant",
      "result",
      "ending",
      "session_stop",
    ]);
    expect(at.events("pre_tool")[0]).toMatchObject({ tool_name: "Bash", tool_input: { command: "echo here; exit 3" } });
    const [failed, fine] = at.events("post_tool");
    expect(failed).toMatchObject({ tool_name: "Bash", error: expect.stringContaining("here") });
    expect(fine).toMatchObject({ tool_output: "key: ***" });
    expect(fine).not.toHaveProperty("error");
  });

  test("resumes the session in the session's own folder, wherever the runner is", async () => {
    await using at = await ClaudePlace.open([says("One."), says("Two.")]);
    const projectDir = join(at.folder, "project");
    mkdirSync(projectDir);
    expect(await (await at.start({ ...invocation20("first"), project_dir: projectDir })).ended).toBe(0);
    const [bind] = at.api.calls.map(({ body }) => body);
    at.session = {
      executor_session_id: String(bind?.["executor_session_id"]),
      project_dir: projectDir,
      executor_type: "claude-code",
    };
    const resumed = await at.start(invocation20("second", "resume"));
    expect({ exit: await resumed.ended, stdout: resumed.stdout() }).toEqual({ exit: 0, stdout: "Two.\n" });
    expect(at.provider.requests[1]?.history).toMatchObject({ prompts: ["first", "second"], replies: 1 });
    const opening = [`GET /sessions/${SESSION}`, `POST /sessions/${SESSION}/bind`, "session_start", "message user"];
    expect(at.api.outline().slice(-8)).toEqual([...opening, "message assistant", "result", "ending", "session_stop"]);
    const binds = at.api.calls
      .filter(({ path }) => path.endsWith("/bind"))
      .map(({ body }) => [body["executor_session_id"], body["project_dir"]]);
    expect(binds[1]).toEqual(binds[0] as unknown[]);
  });

  test("waits for background tasks, and lets the agent answer them with its permissions", async () => {
    await using at = await ClaudePlace.open([
      bash("sleep 1; echo done", { run_in_background: true }),
      says("Started."),
      bash("echo again"),
      says("It is done."),
    ]);
    const executor = await at.start(invocation20("Begin."));
    expect({ exit: await executor.ended, stdout: executor.stdout() }).toEqual({ exit: 0, stdout: "It is done.\n" });
    expect(at.events("post_tool")[1]).toMatchObject({ tool_output: "again" });
    expect(at.events("result")).toHaveLength(1);
  });

  test("returns data if the blueprint has an output_schema", async () => {
    const answer = uses("StructuredOutput", { answer: 42 });
    await using at = await ClaudePlace.open([answer, says("Done.")]);
    const output_schema = { type: "object", properties: { answer: { type: "number" } }, required: ["answer"] };
    const executor = await at.start({ ...invocation20("How much?"), agent_blueprint: { output_schema } });
    expect({ exit: await executor.ended, stdout: executor.stdout() }).toEqual({ exit: 0, stdout: '{"answer":42}\n' });
    expect(at.events("result")).toMatchObject([{ result_data: { answer: 42 } }]);
  });

  test("does not wait for an unreachable coordinator, and sends everything in order afterwards", async () => {
    let isAway = true;
    await using at = await ClaudePlace.open([bash("echo a"), says("Done.")], () =>
      isAway ? new Response("away", { status: 503 }) : undefined,
    );
    const executor = await at.start(invocation20("Go."));
    await until("the end of the turn", () => executor.stdout() === "Done.\n", DEADLINE_MS);
    isAway = false;
    expect(await executor.ended).toBe(0);
    const events = at.api.outline().filter((call) => !call.endsWith("/bind"));
    expect(events).toEqual([
      "message user",
      "pre_tool",
      "post_tool",
      "message assistant",
      "result",
      "ending",
      "session_stop",
    ]);
  });
});

describe("other users of the machine", () => {
  test.skipIf(process.platform !== "linux")(
    "find no credentials of an MCP server in the arguments of any process",
    async () => {
      using server = Bun.serve({
        port: 0,
        fetch: (request) => (seen.push(request.headers.get("authorization")), new Response(null, { status: 404 })),
      });
      const seen: (string | null)[] = [];
      await using at = await ClaudePlace.open([stalls("in-the-message")]);
      const mcp_servers = {
        files: {
          type: "http",
          url: server.url.href,
          headers: { Authorization: "Bearer s3cret-of-the-server" },
          optional: true,
        },
      };
      const executor = await at.start({ ...invocation20("Go."), agent_blueprint: { mcp_servers } });
      await until("a request to the provider", () => at.provider.requests.length > 0, DEADLINE_MS);
      expect(seen).toContain("Bearer s3cret-of-the-server");
      const argv = readdirSync("/proc")
        .filter((name) => /^\d+$/.test(name))
        .map(argumentsOf);
      expect(argv.some((line) => line.includes("--await-initialize"))).toBe(true);
      expect(argv.filter((line) => line.includes("s3cret-of-the-server"))).toEqual([]);
      executor.process.kill("SIGTERM");
      expect(await executor.ended).toBe(143);
      expect(at.events("ending")).toMatchObject([
        { notes: expect.arrayContaining([expect.stringContaining("MCP servers not connected: files")]) },
      ]);
    },
  );
});

function argumentsOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

describe("a turn that does not succeed", () => {
  test.each([
    [
      "max-turns",
      [bash("echo a"), bash("echo b")],
      { CLAUDE_CODE_MAX_TURNS: "2" },
      "Claude Code reached its limit of 2 turns (max_turns)\n",
    ],
    ["not-logged-in", [says("x")], { ANTHROPIC_API_KEY: "" }, "Claude Code is not logged in; log in on this machine"],
    [
      "provider-unavailable",
      [refuses(529)],
      { CLAUDE_CODE_MAX_RETRIES: "1" },
      "The provider could not answer Claude Code: API Error: 529",
    ],
    [
      "provider-unavailable",
      [stalls("in-the-message")],
      { CLAUDE_CODE_STALL_TIMEOUT: "1s" },
      "The provider gave no answer for 1 s (stall_timeout)\n",
    ],
    [
      "refused-permissions",
      [bash("touch x"), says("I could not.")],
      { CLAUDE_CODE_PERMISSION_MODE: "dontAsk" },
      "Claude Code ended after it was denied a permission (Bash)",
    ],
    ["process-died", [bash("kill -9 $PPID")], {}, "Claude Code was ended by SIGKILL\n"],
    [
      "still-running-in-background",
      [bash("sleep 1000", { run_in_background: true }), says("Started.")],
      { CLAUDE_CODE_BACKGROUND_WAIT: "1s" },
      "Claude Code's turn was over, but background tasks continued for 1 s",
    ],
  ] as const)(
    "%s: has its own reason on stderr and in the event, and does not finish the session",
    async (kind, replies, env, reason) => {
      await using at = await ClaudePlace.open(replies);
      const executor = await at.start(invocation20("Go."), env);
      const exit = kind === "provider-unavailable" ? 75 : kind === "not-logged-in" ? 78 : 1;
      expect({ exit: await executor.ended, stderr: executor.stderr() }).toEqual({
        exit,
        stderr: expect.stringMatching(startingWith(reason)),
      });
      expect(at.events("ending")).toMatchObject([{ reason: kind, error: executor.stderr().trimEnd() }]);
      expect(at.api.outline()).not.toContain("session_stop");
      expect(at.api.outline()).not.toContain("result");
    },
  );

  test("a tool use for which a rule requires a person is denied, also as root", async () => {
    await using at = await ClaudePlace.open([bash("touch forbidden"), says("I could not.")]);
    place(at.folder, ".claude/settings.json", JSON.stringify({ permissions: { ask: ["Bash(touch:*)"] } }));
    const executor = await at.start(invocation20("Go."));
    expect(await executor.ended).toBe(1);
    expect(at.events("ending")).toMatchObject([{ reason: "refused-permissions", refused_tools: ["Bash"] }]);
    expect(existsSync(join(at.folder, "forbidden"))).toBe(false);
  });

  test("a 401 ends the turn at once, not after ten attempts", async () => {
    await using at = await ClaudePlace.open([refuses(401)]);
    const executor = await at.start(invocation20("Go."));
    expect(await executor.ended).toBe(78);
    expect(executor.stderr()).toStartWith(
      "Claude Code could not authenticate: the provider rejects its credentials (401); log in",
    );
    expect(executor.stderr()).not.toContain("sk-made-up");
    expect(at.provider.requests.length).toBeLessThan(4);
    expect(at.events("ending")).toMatchObject([{ reason: "not-logged-in" }]);
  });

  test("a conversation that is not on this machine", async () => {
    await using at = await ClaudePlace.open([says("x")]);
    at.session = { executor_session_id: "13bbfeed-38ac-4ca3-a927-ff7f92915cfd", hostname: "alpha" };
    const executor = await at.start(invocation20("Go on.", "resume"));
    expect(await executor.ended).toBe(1);
    expect(executor.stderr()).toMatch(
      /^Claude Code cannot resume the session: No conversation found .*; it ran on alpha, and/,
    );
    expect(at.api.outline().slice(1)).toEqual(["session_start", "message user", "ending"]);
  });

  test.each([
    [{}, /^claude-code: cannot resume session ses_000000000001: Claude Code never started it$/m],
    [
      { executor_session_id: "x", executor_type: "test-executor" },
      /^claude-code: cannot resume session .*: it was executed by test-executor, not by claude-code$/m,
    ],
    [
      { executor_session_id: "x", project_dir: "/no/such/folder" },
      /^claude-code: the session's project directory \/no\/such\/folder does not exist on this machine$/m,
    ],
  ])("a session that cannot be resumed, %j", async (session, message) => {
    await using at = await ClaudePlace.open([]);
    at.session = session;
    const executor = await at.start(invocation20("Go on.", "resume"));
    expect(await executor.ended).toBe(1);
    expect(executor.stderr()).toMatch(message);
  });

  test("bad settings, all in one message, and a missing Claude Code", async () => {
    await using at = await ClaudePlace.open([]);
    const bad = await at.start(
      { ...invocation20("x"), executor_config: { max_turns: 0, modle: "x" } },
      { CLAUDE_CODE_PERMISSION_MODE: "yolo" },
    );
    expect(await bad.ended).toBe(78);
    expect(bad.stderr()).toMatch(
      /^claude-code: bad settings: modle: .*; CLAUDE_CODE_PERMISSION_MODE: must be .*; max_turns: must be .*\n$/,
    );
    const missing = await at.start(invocation20("x"), { CLAUDE_CODE_PATH: "/no/claude" });
    expect(await missing.ended).toBe(78);
    expect(missing.stderr()).toMatch(/^claude-code: no Claude Code at \/no\/claude: it does not exist; install it/);
    expect(at.api.calls).toEqual([]);
  });

  test("a session that refuses its events", async () => {
    await using at = await ClaudePlace.open([says("Hi.")], () =>
      Response.json({ detail: "Session not found" }, { status: 404 }),
    );
    const executor = await at.start(invocation20("x"));
    expect(await executor.ended).toBe(1);
    expect(executor.stderr()).toMatch(/^The session refused an event: .*Session not found/);
  });
});

function startingWith(text: string): RegExp {
  return new RegExp(`^${text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")}`);
}

describe("a stop", () => {
  test("during a tool: exit code 143, partial events, no leftovers", async () => {
    await using at = await ClaudePlace.open([
      message([text("Now I wait."), toolUse("Bash", { command: "tail -f /dev/null" })]),
    ]);
    const executor = await at.start(invocation20("Wait."));
    await at.received("pre_tool");
    executor.process.kill("SIGTERM");
    expect(await executor.ended).toBe(143);
    expect(at.api.outline()).toContain("message assistant");
    expect(at.events("ending")).toMatchObject([{ reason: "stopped" }]);
    expect(at.api.outline()).not.toContain("session_stop");
    expect(executor.stderr()).toBe("");
  });

  test("of a frozen Claude Code: exit code 143 all the same", async () => {
    await using at = await ClaudePlace.open([bash("kill -STOP $PPID; touch frozen")]);
    const executor = await at.start(invocation20("Freeze."));
    await until("Claude Code is frozen", () => existsSync(join(at.folder, "frozen")), DEADLINE_MS);
    executor.process.kill("SIGTERM");
    expect(await executor.ended).toBe(143);
  });
});
