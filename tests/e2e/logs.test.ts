import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

async function world(): Promise<
  { w: World; url: string; api: Awaited<ReturnType<World["coordinator"]>>["api"] } & AsyncDisposable
> {
  const w = new World();
  const { api } = await w.coordinator();
  const runner = w.runner(api.url, "test-executor");
  await runner.line(/waiting for runs/);
  return { w, url: api.url, api, [Symbol.asyncDispose]: () => w[Symbol.asyncDispose]() };
}

test("logs shows output and events of a run, by its id or its session's", async () => {
  await using at = await world();
  const { run_id, session_id } = await at.api.submit("!tool Search\n!stderr 20B\n!output 1MB\nFind it");
  await at.api.reached(run_id, "completed");
  const { code, stdout, stderr } = await at.w.run(["logs", run_id, "-c", at.url]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const lines = stdout.split("\n");
  expect(lines.some((line) => /^\d\d:\d\d:\d\d post_tool Search/.test(line))).toBe(true);
  expect(lines.some((line) => /^\d\d:\d\d:\d\d message assistant: .*Find it$/.test(line))).toBe(true);
  expect(lines.filter((line) => line.startsWith("out| ")).at(-1)).toMatch(/turn 1 of session ses_\w+: Find it$/);
  expect(lines.filter((line) => line.startsWith("err| ")).join("")).toContain("x");

  const whole = await at.w.run(["logs", session_id, "-c", at.url, "--stream", "stdout"]);
  const kept = readFileSync(join(at.w.stateDir, "runs", run_id, "stdout"), "utf8");
  expect(kept.length).toBeGreaterThan(1024 * 1024);
  expect(whole.stdout).toBe(kept);

  const tail = await at.w.run(["logs", run_id, "-c", at.url, "--tail", "1", "--json"]);
  const rows = tail.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { stream: string; line?: string; event?: { event_type: string } });
  expect(rows.map(({ stream }) => stream)).toEqual(["events", "stdout", "stderr"]);
  expect(rows[0]?.event?.event_type).toBe("session_stop");
});

test("logs --follow shows everything once, until the end of the run, and has the run's exit code", async () => {
  await using at = await world();
  const { run_id } = await at.api.submit("!stderr 30B\n!wait go-on\n!fail it broke");
  const log = at.w.start(["logs", run_id, "-c", at.url, "-f"]);
  await log.line(/message user: /);
  await Bun.write(at.w.path("go-on"), "");
  expect(await log.exited).toBe(1);
  expect(
    log
      .stdout()
      .split("\n")
      .filter((line) => line.startsWith("err| ")),
  ).toEqual([expect.stringMatching(/^err\| x+it broke$/)]);
  expect(log.stdout().match(/message user/g)).toHaveLength(1);
});

test("logs --follow continues with a retry of the run", async () => {
  await using at = await world();
  const { run_id } = await at.api.submit("!exit 75", { max_attempts: 2, retry_delay_seconds: 0 });
  const { code, stderr } = await at.w.run(["logs", run_id, "-c", at.url, "-f"]);
  expect(code).toBe(1);
  expect(stderr).toMatch(new RegExp(`Run ${run_id} failed; run run_\\w+ retries it`));
});

test("logs --follow ends when its reader is gone", async () => {
  await using at = await world();
  const { run_id } = await at.api.submit("!tool One\n!wait more\n!tool Two\n!wait go-on\nx");
  const log = at.w.start(["logs", run_id, "-c", at.url, "-f", "--stream", "events"]);
  await log.line(/post_tool One/);
  await log.closeStdout();
  await Bun.write(at.w.path("more"), "");
  expect(await log.exited).toBe(0);
  expect((await at.api.run(run_id)).status).toBe("running");
  await Bun.write(at.w.path("go-on"), "");
  await at.api.reached(run_id, "completed");
});

test("logs --follow continues after an outage of the coordinator, without repeating lines", async () => {
  await using w = new World();
  const first = await w.coordinator();
  await w.runner(first.api.url, "test-executor").line(/waiting for runs/);
  const { run_id } = await first.api.submit("!tool One\n!output 10B\n!wait go-on\n!tool Two\nThe end");
  const log = w.start(["logs", run_id, "-c", first.api.url, "-f"]);
  await log.line(/post_tool One/);
  first.process.signal("SIGKILL");
  await first.process.exited;
  await until("the note", () => log.stderr().includes("waiting for the coordinator"));
  await Bun.write(w.path("go-on"), "");
  await w.coordinator(Number(new URL(first.api.url).port));
  expect(await log.exited).toBe(0);
  const shown = log.stdout().split("\n");
  expect(shown.flatMap((line) => /post_tool (\w+)/.exec(line)?.[1] ?? [])).toEqual(["One", "Two"]);
  expect(shown.filter((line) => line.startsWith("out| "))).toEqual([
    expect.stringMatching(/^out\| x+\[test-executor\] turn 1 .*The end$/),
  ]);
});

test("logs ends although the run continues to write; Ctrl+C ends logs --follow, not the run", async () => {
  await using w = new World();
  const { api } = await w.coordinator();
  await w.runner(api.url, "floods-stdout", [], { FLOOD_BYTES: "1000000000000" }).line(/waiting for runs/);
  const { run_id } = await api.submit("Flood");
  await w.start(["logs", run_id, "-c", api.url, "-f", "--tail", "1"]).line(/^out\| a line of output/m);
  const now = await w.run(["logs", run_id, "-c", api.url, "--stream", "stdout"]);
  expect(now).toMatchObject({ code: 0, stdout: expect.stringContaining("a line of output that nobody asked for") });
  const log = w.start(["logs", run_id, "-c", api.url, "-f", "--stream", "stdout"]);
  await log.line(/a line of output/);
  log.signal("SIGINT");
  await log.exited;
  expect((await api.run(run_id)).status).toBe("running");
  await api.stop(run_id);
  await api.reached(run_id, "stopped");
});

test("logs without support by the coordinator reads this machine's run folder, or names the machine", async () => {
  await using w = new World();
  const fake = w.own(await FakeCoordinator.start());
  const run = fake.queue();
  const runner = w.runner(fake.url, "writes-stderr");
  await until("completed", () => run.status === "completed");
  const here = await w.run(["logs", run.run_id, "-c", fake.url, "--stream", "stderr"]);
  expect(here).toMatchObject({ code: 0, stdout: expect.stringContaining("a warning") });
  await using elsewhere = new World();
  const there = await elsewhere.run(["logs", run.run_id, "-c", fake.url, "--stream", "stderr"]);
  expect(there).toMatchObject({ code: 0, stdout: "", stderr: expect.stringContaining("on the machine of the runner") });
  runner.signal("SIGTERM");
});

test("logs of an unknown run, an unknown stream, and a run without a runner", async () => {
  await using at = await world();
  expect(await at.w.run(["logs", "run_none", "-c", at.url])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("There is no run and no session run_none"),
  });
  expect(await at.w.run(["logs", "x", "--stream", "both"])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("is none of all, events, stdout, stderr"),
  });
  const waiting = await at.api.submit("later", { not_before: "2099-01-01T00:00:00Z" });
  expect(await at.w.run(["logs", waiting.run_id, "-c", at.url])).toMatchObject({
    code: 0,
    stderr: expect.stringContaining("has not been given to a runner yet"),
  });
});

test("logs has exit code 4 if the runner with the output does not answer", async () => {
  await using w = new World();
  const { api } = await w.coordinator();
  const runner = w.runner(api.url, "test-executor");
  await runner.line(/waiting for runs/);
  const { run_id } = await api.submit("Hello");
  await api.reached(run_id, "completed");
  runner.signal("SIGSTOP");
  const { code, stdout, stderr } = await w.run(["logs", run_id, "-c", api.url, "-f"], {
    env: { XDG_STATE_HOME: w.path("elsewhere") },
  });
  runner.signal("SIGCONT");
  expect({ code, stderr }).toEqual({ code: 4, stderr: expect.stringContaining("does not answer") });
  expect(stdout).toContain("message assistant");
});
