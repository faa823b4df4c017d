import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TerminalProgram } from "../harness/terminal.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

/** Sets the clipboard and the title, clears the screen, moves the cursor; with C1 bytes too; turns the direction. */
const HOSTILE = [
  "\u001b]52;c;ZXZpbA==\u0007",
  "\u001b]0;title\u001b\\",
  "\u001b[2J\u001b[31m",
  "\u009b2J\u009d0;title\u009c\u0085",
  "\u202egpj.exe\u2066",
  "\u001bP1$r\u001b\\\u0008\u007f\u001b\u001b[5n",
  "seen",
].join(" ");

/** What the program itself sends: colours, and the screen of `top` and of `--watch`. */
// oxlint-disable-next-line no-control-regex
const OWN = /\u001b\[(?:[0-9;]*m|H|J|2J|K|\d+;1H|\?(?:1049|25|7)[hl])/g;
// oxlint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;
/** For commands that draw no screen: what the text of an agent could have brought. */
// oxlint-disable-next-line no-control-regex
const SCREEN = /\u001b\[[^m]*[A-Za-ln-z]|\u001b\[31m/;

function controlsIn(raw: string): string[] {
  return [...raw.replace(OWN, "").matchAll(CONTROLS)].map(([character]) => JSON.stringify(character));
}

async function hostileWorld(): Promise<{ world: World; url: string; runId: string; failedId: string }> {
  const world = new World();
  const agents = world.path("agents/hostile");
  mkdirSync(agents, { recursive: true });
  writeFileSync(join(agents, "agent.json"), JSON.stringify({ description: HOSTILE, tags: ["a"] }));
  const { api } = await world.coordinator(0, ["--agents-dir", world.path("agents")]);
  await world.runner(api.url, "test-executor").line(/waiting for runs/);
  const { run_id: runId } = await api.submit(HOSTILE);
  const { run_id: failedId } = await api.submit(`!fail ${HOSTILE}`);
  for (const id of [runId, failedId])
    await until("the run to end", async () => ["completed", "failed"].includes((await api.run(id)).status));
  return { world, url: api.url, runId, failedId };
}

test("text of agents cannot control the terminal, whatever command shows it", async () => {
  const { world, url, runId, failedId } = await hostileWorld();
  await using _ = world;
  const commands: [string[], RegExp | null][] = [
    [["submit", "--wait", HOSTILE], /seen/],
    [["submit", "--wait", "--json", HOSTILE], /seen/],
    [["submit", "--wait", `!fail ${HOSTILE}`], /seen/],
    [["submit", "--wait", "--agent", HOSTILE, "x"], null],
    [["runs"], /run_/],
    [["runs", "--json"], /seen/],
    [["sessions"], /ses_/],
    [["agents"], /seen/],
    [["agents", "show", "hostile"], /seen/],
    [["agents", "show", HOSTILE], null],
    [["runners"], /test-executor/],
    [["logs", runId], /seen/],
    [["logs", failedId], /seen/],
    [["logs", failedId, "--json"], /seen/],
    [["logs", runId, "--follow"], /seen/],
    [["logs", failedId, "--stream", "stderr"], /seen/],
    [["logs", HOSTILE], /seen/],
    [["stop", HOSTILE], /seen/],
    [["completion", "runs"], /run_/],
    [["doctor", "-x", HOSTILE], /seen/],
    [[`--${HOSTILE}`], null],
    [[HOSTILE], /seen/],
  ];
  for (const [words, pattern] of commands) {
    const args = words[0]?.startsWith("-") || words[0] === HOSTILE ? words : [...words, "-c", url];
    await using shown = new TerminalProgram(args, { cwd: world.projectDir, env: { HOME: world.home }, columns: 200 });
    await shown.exited;
    await until(
      () => `${JSON.stringify(words)} shows ${String(pattern)}: ${JSON.stringify(shown.raw)}`,
      () => pattern === null || pattern.test(shown.raw),
    );
    expect([words, controlsIn(shown.raw)]).toEqual([words, []]);
    expect(shown.raw).not.toMatch(SCREEN);
  }
});

test("text of agents cannot control the terminal of top, of --watch, or of the logs", async () => {
  const { world, url, runId } = await hostileWorld();
  await using _ = world;
  const options = { cwd: world.projectDir, env: { HOME: world.home }, columns: 200 };
  const watched: [string[], RegExp, string][] = [
    [["top", "-c", url], /seen/, "q"],
    [["agents", "--watch", "-c", url], /seen/, ""],
    [["runs", "--watch", "-c", url], new RegExp(runId), ""],
  ];
  for (const [words, pattern, keys] of watched) {
    await using shown = new TerminalProgram(words, options);
    await until(
      () => `${words[0]} shows ${String(pattern)}: ${JSON.stringify(shown.raw)}`,
      () => pattern.test(shown.raw),
    );
    if (keys === "") shown.signal("SIGTERM");
    else shown.type(keys);
    await shown.exited;
    expect([words, controlsIn(shown.raw)]).toEqual([words, []]);
  }
  for (const format of ["text", "json"]) {
    const runner = ["-c", url, "-x", "test-executor", "-p", world.home, "-v", "--log-format", format, "-t", "logged"];
    await using shown = new TerminalProgram(runner, { ...options, env: { HOME: world.home } });
    await until("the runner to start", () => /waiting for runs/.test(shown.raw));
    await world.run(["submit", "-c", url, "--wait", "--tag", "logged", `!fail ${HOSTILE}`]);
    await until("the log to have the executor's stderr", () => /seen/.test(shown.raw));
    shown.signal("SIGINT");
    await shown.exited;
    expect([format, controlsIn(shown.raw)]).toEqual([format, []]);
    expect(shown.raw).not.toContain("\u0007");
  }
});

test("elsewhere the text is as the agent wrote it", async () => {
  const { world, url, runId } = await hostileWorld();
  await using _ = world;
  expect((await world.run(["submit", "-c", url, "--wait", HOSTILE])).stdout).toContain(HOSTILE);
  expect((await world.run(["logs", runId, "-c", url, "--stream", "stdout"])).code).toBe(0);
});

test("the completion of a shell gets no name that the shell would execute", async () => {
  await using world = new World();
  for (const name of ["good", "$(touch pwned)", "`touch pwned`", "a b", "a\u001b[2Jb"]) {
    mkdirSync(world.path(`executors/${name}`), { recursive: true });
    writeFileSync(world.path(`executors/${name}/ao-x-exec`), "#!/bin/sh\n", { mode: 0o755 });
  }
  const { stdout } = await world.run(["completion", "executors"], {
    env: { AGENT_EXECUTORS_DIR: world.path("executors") },
  });
  expect(stdout.trim().split("\n")).toEqual(["claude-code", "good", "test-executor"]);
});
