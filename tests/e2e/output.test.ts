import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const MIB = 1024 * 1024;

/** `VmRSS` (current) or `VmHWM` (peak) of a process, in bytes. */
function memory(pid: number, which: "VmRSS" | "VmHWM"): number {
  const kib = new RegExp(`^${which}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) * 1024;
}

test.skipIf(process.platform !== "linux")(
  "a flood of 200 MB: bounded memory and file, heartbeats on time, and the end of the output as result",
  async () => {
    await using world = new World();
    const fake = world.own(await FakeCoordinator.start({ heartbeatIntervalSeconds: 0.1 }));
    const runner = world.runner(fake.url, "floods-stdout", [], { RUNNER_OUTPUT_LIMIT: "8MiB" });
    await until("two heartbeats", () => fake.calls("POST /runner/heartbeat").length >= 2);
    const before = memory(runner.pid, "VmRSS");
    const startMs = performance.now();
    const run = fake.queue();
    await until("completed", () => run.status === "completed");
    const endedMs = performance.now();
    expect(memory(runner.pid, "VmHWM") - before).toBeLessThan(60 * MIB);

    const output = statSync(join(world.stateDir, "runs", run.run_id, "stdout"));
    expect(output.size).toBeGreaterThan(190 * MIB);
    expect(output.blocks * 512).toBeLessThan(16 * MIB);
    const [message] = fake.eventsOf(run) as { content: { text: string }[] }[];
    expect(message?.content[0]?.text).toEndWith("the end of the flood");

    const beats = fake
      .calls("POST /runner/heartbeat")
      .map(({ at }) => at)
      .filter((at) => at >= startMs && at <= endedMs);
    const gaps = [...beats, endedMs].map((at, i) => at - (beats[i - 1] ?? startMs));
    // A busy machine delays the flood as well.
    expect(Math.max(...gaps)).toBeLessThan(Math.max(2_000, (endedMs - startMs) / 2));
  },
);

test("-v logs the executors' output, each line with its run id", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  const runner = world.runner(fake.url, "writes-stderr", ["-v"]);
  await until("completed", () => run.status === "completed");
  await runner.line(new RegExp(`${run.run_id} out\\| done in spite of it`));
  await runner.line(new RegExp(`${run.run_id} err\\| a warning`));
});

test("without -v the log has no executor output", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const run = fake.queue();
  const runner = world.runner(fake.url, "writes-stderr");
  await until("completed", () => run.status === "completed");
  runner.signal("SIGINT");
  expect(await runner.exited).toBe(0);
  expect(runner.stdout()).not.toContain("in spite of it");
});

test("the log has no prompts, error texts or tokens, with -v and as JSON", async () => {
  await using world = new World();
  const fake = world.own(await FakeCoordinator.start());
  const runner = world.runner(fake.url, "records-invocation", ["-v", "--log-format", "json"], {
    AGENT_COORDINATOR_TOKEN: "sesame-open",
  });
  const run = fake.queue({ prompt: "the-secret-plan" });
  await until("completed", () => run.status === "completed");
  const missing = fake.queue({ prompt: "the-secret-plan", agent_name: "nobody" });
  await until("failed", () => missing.status === "failed");
  const token = /^AGENT_ORCHESTRATOR_API_URL=.*\/(.*)$/m.exec(await world.file(`${run.run_id}.env`))?.[1] ?? "";
  expect(token.length).toBe(32);
  const log = runner.stdout() + runner.stderr();
  for (const secret of ["the-secret-plan", "sesame-open", token]) expect(log).not.toContain(secret);
  const lines = runner
    .stdout()
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines.filter(({ run_id }) => run_id === run.run_id).length).toBeGreaterThan(2);
});
