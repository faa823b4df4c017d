import { describe, expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { sessionFolder } from "../../executors/test-executor/session-store.ts";
import { AT_ONCE_MS, until } from "../harness/until.ts";
import { invocation20 } from "./start-executor.ts";
import { FILE, place, SESSION, start } from "./test-executor-place.ts";

describe("a turn that succeeds", () => {
  test("binds, sends its messages in order, and finishes the session last", async () => {
    using at = place();
    const executor = start(at, invocation20("hello\n!tool search\nthere"));
    expect(await executor.ended).toBe(0);
    const answer = `[test-executor] turn 1 of session ${SESSION}: hello\nthere`;
    expect(executor.stdout()).toBe(`${answer}\n`);
    expect(at.api.outline()).toEqual([
      `POST /sessions/${SESSION}/bind`,
      "message user",
      "post_tool",
      "message assistant",
      "result",
      "session_stop",
    ]);
    const [bind, user, tool, assistant, result, stop] = at.api.calls.map((call) => call.body);
    expect(bind).toMatchObject({
      executor_type: "test-executor",
      executor_profile: "test-executor",
      project_dir: at.folder,
    });
    expect(bind?.["executor_session_id"]).toMatch(/^test_[0-9a-f]{12}$/);
    expect(bind?.["hostname"]).toBeTruthy();
    expect(user?.["content"]).toEqual([{ type: "text", text: "hello\n!tool search\nthere" }]);
    expect(tool).toMatchObject({ tool_name: "search", tool_output: "output of search" });
    expect(assistant?.["content"]).toEqual([{ type: "text", text: answer }]);
    expect(result).toMatchObject({ result_text: answer });
    expect(stop).toMatchObject({ exit_code: 0, reason: "completed", session_id: SESSION });
  });

  test("accepts schema 2.2", async () => {
    using at = place();
    const invocation = { schema_version: "2.2", mode: "start", session_id: SESSION, parameters: { prompt: "hi" } };
    const executor = start(at, invocation);
    expect(await executor.ended).toBe(0);
    expect(executor.stdout()).toBe(`[test-executor] turn 1 of session ${SESSION}: hi\n`);
  });

  test("remembers earlier turns on resume, and keeps its executor_session_id", async () => {
    using at = place();
    await start(at, invocation20("first")).ended;
    expect(await start(at, invocation20("!fail no", "resume")).ended).toBe(1);
    const resumed = start(at, invocation20("!history\nsecond", "resume"));
    expect(await resumed.ended).toBe(0);
    expect(resumed.stdout()).toBe(`"first"\n[test-executor] turn 2 of session ${SESSION}: second\n`);
    expect(at.api.outline().slice(-6)).toEqual([
      `POST /sessions/${SESSION}/bind`,
      "session_start",
      "message user",
      "message assistant",
      "result",
      "session_stop",
    ]);
    const ids = at.api.calls.flatMap(({ body }) => body["executor_session_id"] ?? []);
    expect(new Set(ids).size).toBe(1);
  });

  test("forgets earlier turns when a session of the same id starts again", async () => {
    using at = place();
    await start(at, invocation20("first")).ended;
    const again = start(at, invocation20("again"));
    expect(await again.ended).toBe(0);
    expect(again.stdout()).toContain("turn 1 of");
  });

  test("stores sessions with special characters separately, inside its folder", async () => {
    using at = place();
    const ids = ["a:b", "a.b", "..x", "ä".repeat(100)];
    for (const id of ids) expect(await start(at, invocation20(`from ${id}`, "start", id)).ended).toBe(0);
    for (const id of ids) {
      const resumed = start(at, invocation20("!history\ny", "resume", id));
      await resumed.ended;
      expect(resumed.stdout()).toBe(`"from ${id}"\n[test-executor] turn 2 of session ${id}: y\n`);
    }
  });

  test("stores sessions by default under XDG_STATE_HOME or the home folder", async () => {
    using at = place();
    await start(at, invocation20("x"), { AGENT_EXECUTOR_STATE_DIR: "", XDG_STATE_HOME: join(at.folder, "xdg") }).ended;
    await start(at, invocation20("x"), { AGENT_EXECUTOR_STATE_DIR: "", XDG_STATE_HOME: "" }).ended;
    const home = join(at.folder, ".local/state");
    for (const base of [join(at.folder, "xdg"), home])
      expect(existsSync(join(base, "agent-runner/test-executor"))).toBe(true);
  });
});

describe("a turn that does not succeed", () => {
  test("fails on resume of an unknown session", async () => {
    using at = place();
    const executor = start(at, invocation20("x", "resume"));
    expect(await executor.ended).toBe(1);
    expect(executor.stderr()).toContain(`cannot resume session ${SESSION}: this executor has not started it`);
    expect(at.api.calls).toEqual([]);
  });

  test.each([
    ["!fail out of milk", 1, "out of milk\n"],
    ["!exit 3", 3, ""],
    ["!nonsense", 1, "test-executor: unknown directive !nonsense"],
    ["!sleep soon", 1, 'test-executor: "soon" is not a duration'],
    ["!crash", "SIGKILL", ""],
  ])("%s ends the turn without session_stop", async (prompt, exit, stderr) => {
    using at = place();
    const executor = start(at, invocation20(`${prompt}\nmessage`));
    expect(await executor.ended).toBe(exit);
    expect(executor.stderr()).toStartWith(stderr);
    expect(at.api.outline()).toEqual([`POST /sessions/${SESSION}/bind`, "message user"]);
  });

  test("fails with the API's message when the API refuses the session", async () => {
    using at = place(() => Response.json({ detail: "Session not found" }, { status: 404 }));
    const executor = start(at, invocation20("x"));
    expect(await executor.ended).toBe(1);
    expect(executor.stderr()).toContain("Session not found");
  });

  test.each(["!sleep 60s", "!wait never", "!output 1GB\n!sleep 60s"])(
    "SIGTERM during %j ends the turn at once with 143",
    async (prompt) => {
      using at = place();
      const executor = start(at, invocation20(`!write ready yes\n${prompt}`));
      await until("the turn has begun", () => existsSync(join(at.folder, "ready")));
      const before = performance.now();
      executor.process.kill("SIGTERM");
      expect(await executor.ended).toBe(143);
      expect(performance.now() - before).toBeLessThan(AT_ONCE_MS);
      expect(at.api.outline()).not.toContain("session_stop");
      const resumed = start(at, invocation20("x", "resume"));
      await resumed.ended;
      // A stopped turn does not count.
      expect(resumed.stdout()).toContain("turn 1 of");
    },
  );
});

test("sessionFolder is under LOCALAPPDATA on Windows", () => {
  expect(sessionFolder({ LOCALAPPDATA: "/local" }, "win32")).toBe(join("/local", "agent-runner", "test-executor"));
});

test.skipIf(process.platform === "win32")("ao-test-exec.ts is executable", () => {
  expect(statSync(FILE).mode & 0o111).not.toBe(0);
});
