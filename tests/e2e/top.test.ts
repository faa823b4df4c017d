import { expect, setDefaultTimeout, test } from "bun:test";
import { TerminalProgram, type TerminalOptions } from "../harness/terminal.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

async function start(): Promise<
  {
    w: World;
    url: string;
    api: Awaited<ReturnType<World["coordinator"]>>["api"];
    coordinator: Awaited<ReturnType<World["coordinator"]>>["process"];
  } & AsyncDisposable
> {
  const w = new World();
  const { api, process } = await w.coordinator();
  const runner = w.runner(api.url, "test-executor");
  await runner.line(/waiting for runs/);
  return { w, url: api.url, api, coordinator: process, [Symbol.asyncDispose]: () => w[Symbol.asyncDispose]() };
}

const program = (at: { w: World; url: string }, args: readonly string[], more: Partial<TerminalOptions> = {}) =>
  new TerminalProgram([...args, "-c", at.url], {
    cwd: at.w.projectDir,
    env: { HOME: at.w.home, ...more.env },
    ...more,
  });

test("top shows runs live in 80 columns and 24 lines, and restores the terminal", async () => {
  await using at = await start();
  await using top = program(at, ["top"], { columns: 80, lines: 24 });
  await top.shows(/1 of 1 runners online/);
  const { run_id } = await at.api.submit("!wait go-on\nCount the beans");
  await top.shows(new RegExp(`running .*${run_id}`));
  expect(top.screen().length).toBeLessThanOrEqual(24);
  expect(Math.max(...top.screen().map((line) => Bun.stringWidth(line)))).toBeLessThanOrEqual(80);
  await Bun.write(at.w.path("go-on"), "");
  await top.shows(new RegExp(`completed .*${run_id}`));
  top.resize(120, 10);
  await top.shows(/Count the beans/);
  top.type("q");
  expect(await top.exited).toBe(0);
  await top.endsWith("\x1b[?7h\x1b[?25h\x1b[?1049l");
});

test("top: views, help, and a run followed and stopped by keys", async () => {
  await using at = await start();
  const { run_id, session_id } = await at.api.submit("!child !sleep 5m\n!stderr 20B\n!sleep 5m\nnever");
  await using top = program(at, ["top"], { columns: 140, lines: 30 });
  await top.shows(new RegExp(run_id));
  top.type("?");
  await top.shows(/follow the run/);
  top.type("x2");
  await top.shows(new RegExp(`running +- +- +${session_id}`));
  await top.shows(/└ ses_/);
  top.type("3");
  await top.shows(/online +2 .*test-executor/);
  top.type("1");
  await top.shows(/\[1 runs\]/);
  while (!(await top.shows(/Following|\[1 runs\]/)).includes(`Following ${run_id}`)) {
    top.type("f");
    const line = await top.shows(/Following run_/);
    if (line.includes(run_id)) break;
    top.type("q");
    await top.shows(/\[1 runs\]/);
    top.type("j");
  }
  await top.shows(/message user: .*never/);
  top.type("q");
  await top.shows(/\[1 runs\]/);
  top.type("s");
  await top.shows(new RegExp(`Stop ${run_id}\\? y stops it`));
  top.type("n");
  await top.shows(/Not stopped/);
  expect((await at.api.run(run_id)).status).toBe("running");
  top.type("s");
  await top.shows(/y stops it/);
  top.type("y");
  await at.api.reached(run_id, "stopped");
  await top.shows(new RegExp(`stopped .*${run_id}`));
  top.type("\x03");
  expect(await top.exited).toBe(0);
});

test("top shows an outage of the coordinator, and continues after it", async () => {
  await using w = new World();
  const first = await w.coordinator();
  const port = Number(new URL(first.api.url).port);
  await using top = program({ w, url: first.api.url }, ["top"]);
  await top.shows(/0 of 0 runners/);
  first.process.signal("SIGTERM");
  await first.process.exited;
  await top.shows(/DISCONNECTED for/);
  const second = await w.coordinator(port);
  await second.api.submit("here again", { not_before: "2099-01-01T00:00:00Z" });
  await top.shows(/pending \(time\)/);
  expect(top.screen().join("\n")).not.toContain("DISCONNECTED");
  top.signal("SIGTERM");
  expect(await top.exited).toBe(0);
  await top.endsWith("\x1b[?1049l");
});

test("top shows no control sequences from prompts, and no colours with NO_COLOR", async () => {
  await using at = await start();
  await at.api.submit("\x1b]0;owned\x07\x1b[2J evil \u202e日本語 prompt", { not_before: "2099-01-01T00:00:00Z" });
  await using top = program(at, ["top"], { columns: 160, env: { HOME: at.w.home, NO_COLOR: "1" } });
  await top.shows(/evil \[U\+202E\]日本語 prompt/);
  expect(top.raw).not.toContain("owned");
  // oxlint-disable-next-line no-control-regex
  expect(top.raw).not.toMatch(/\x1b\[3\dm/);
});

test("top without a terminal prints the runs once", async () => {
  await using at = await start();
  const { run_id } = await at.api.submit("Hello");
  await at.api.reached(run_id, "completed");
  const { code, stdout, stderr } = await at.w.run(["top", "-c", at.url]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain(run_id);
  expect(stdout).not.toContain("\x1b");
});

test("--watch redraws a list in place; piped as JSON it is one array per line", async () => {
  await using at = await start();
  await using runs = program(at, ["runs", "--watch"], { columns: 120 });
  await runs.shows(/^RUN /);
  const lines = at.w.start(["runs", "--watch", "--json", "-c", at.url]);
  await lines.line(/^\[\]$/m);
  const { run_id } = await at.api.submit("Hello");
  await runs.shows(new RegExp(`^${run_id} +completed`));
  expect(runs.screen().filter((line) => line.startsWith("RUN "))).toHaveLength(1);
  runs.resize(40, 5);
  await until("the new width", () => Math.max(...runs.screen().map((line) => Bun.stringWidth(line))) <= 40);
  await lines.line(new RegExp(`^\\[\\{"run_id":"${run_id}".*"status":"completed"`, "m"));
  for (const line of lines.stdout().trim().split("\n")) expect(JSON.parse(line)).toBeArray();
  lines.signal("SIGINT");
  await lines.exited;
  runs.signal("SIGINT");
  await runs.exited;
});
