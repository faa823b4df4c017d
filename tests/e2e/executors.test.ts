import { expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import { isAlive, killProcess } from "../harness/processes.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

test.each(["prints-hello", "never-reads-stdin", "writes-stderr", "closes-stdio"])(
  "%s: completed, even with a prompt of 2 MB",
  async (executor) => {
    await using world = new World();
    const fake = world.own(await FakeCoordinator.start());
    const run = fake.queue({ prompt: "x".repeat(2_000_000) });
    world.runner(fake.url, executor);
    await until("completed", () => run.status === "completed");
    expect(fake.reportsOf(run)).toEqual(["started", "completed"]);
  },
);

test("exits-3: failed with the end of stderr, at most 8 KiB, from the start of a line", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  world.runner(fake.url, "exits-3");
  await until("failed", () => run.status === "failed");
  expect(run.error?.length).toBeLessThanOrEqual(8 * 1024);
  expect(run.error?.length).toBeGreaterThan(7 * 1024);
  expect(run.error).toStartWith("error line ");
  expect(run.error).toEndWith("error line 500: something went wrong in a way that takes a few words to tell");
});

const ENDS: [string, string, RegExp][] = [
  ["an exit code without stderr", "!exit 7", /^Process exited with code 7$/],
  ["a signal", "!crash", /SIGKILL/],
  ["its own error message", "!fail out of coffee", /out of coffee/],
];
test.each(ENDS)("an executor that ends with %s: failed, with that in the report", async (_, prompt, expected) => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue({ prompt });
  world.runner(fake.url, "test-executor");
  await until("failed", () => run.status === "failed");
  expect(run.error).toMatch(expected);
});

test("a project folder that does not exist or is a file: failed, with its path", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  writeFileSync(world.path("file"), "");
  const missing = fake.queue({ project_dir: world.path("nowhere") });
  const file = fake.queue({ project_dir: world.path("file") });
  world.runner(fake.url, "prints-hello");
  await until("both failed", () => missing.status === "failed" && file.status === "failed");
  expect(missing.error).toContain(`does not exist: ${world.path("nowhere")}`);
  expect(file.error).toContain(`is not a folder: ${world.path("file")}`);
});

test("an unknown agent: failed with the Python runner's message, and nothing is spawned", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue({ agent_name: "nobody" });
  world.runner(fake.url, "records-invocation");
  await until("failed", () => run.status === "failed");
  expect(run.error).toBe("Blueprint not found: nobody");
  expect(fake.reportsOf(run)).toEqual(["failed"]);
});

test("an executor that disappears while the runner is up costs no run: all are executed when it is back", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const folder = join(world.home, "own", "vanishing");
  const file = join(folder, "ao-vanishing-exec");
  mkdirSync(folder, { recursive: true });
  const place = (): void => {
    writeFileSync(file, "#!/bin/sh\necho here\n");
    chmodSync(file, 0o755);
  };
  place();
  const runner = world.start(["-c", fake.url, "-e", file]);
  await runner.line(/Runner started/);
  rmSync(file);
  const first = fake.queue();
  await runner.line(
    /This machine cannot run the executor \(.*ao-vanishing-exec \(or the interpreter .* was not found\)/,
  );
  const second = fake.queue();
  place();
  await until("completed", () => first.status === "completed" && second.status === "completed");
});

test("after a normal end leftovers are killed, in the executor's group and outside of it", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  const runner = world.runner(fake.url, "leaves-grandchildren");
  await until("completed", () => run.status === "completed");
  const pids = ["in-group", "escaped"].map((name) => Number(readFileSync(world.path(`${run.run_id}.${name}`), "utf8")));
  await until("both have ended", () => !pids.some(isAlive));
  await runner.line(/Ended 2 leftover\(s\) of run \w+/);
});

test("--keep-background: leftovers continue to run", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  const runner = world.runner(fake.url, "leaves-grandchildren", ["--keep-background"]);
  await until("completed", () => run.status === "completed");
  const pids = ["in-group", "escaped"].map((name) => Number(readFileSync(world.path(`${run.run_id}.${name}`), "utf8")));
  runner.signal("SIGINT");
  expect(await runner.exited).toBe(0);
  expect(pids.map(isAlive)).toEqual([true, true]);
  for (const pid of pids) killProcess(pid);
});

test("the run folder is private, and stdin is removed from it", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  world.runner(fake.url, "prints-hello");
  await until("completed", () => run.status === "completed");
  const folder = join(world.stateDir, "runs", run.run_id);
  const mode = (path: string): number => statSync(path).mode & 0o777;
  expect(mode(folder)).toBe(0o700);
  expect(mode(join(folder, "stdout"))).toBe(0o600);
  expect(mode(join(folder, "stderr"))).toBe(0o600);
  expect(readFileSync(join(folder, "stdout"), "utf8")).toBe("hello\n");
  expect(statSync(join(folder, "stdin"), { throwIfNoEntry: false })).toBeUndefined();
});
