import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { groupOf, isAlive, processesWith } from "../harness/processes.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS } from "../harness/world.ts";
import { Machines } from "./machines.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const LOST_AFTER = ["--lost-after", "2s"];

describe("a runner whose memory is lost", () => {
  test("and that never comes back: its run fails with runner_lost after the stated time, and is retried", async () => {
    await using m = await Machines.start({ args: LOST_AFTER });
    const runner = m.runner("a");
    const { run_id } = await m.submit({ max_attempts: 2, retry_delay_seconds: 0 });
    await m.world.file(`${run_id}.ready`);
    await m.losePower(runner, run_id);
    m.wipe("a");
    await m.becomes(run_id, "failed");
    const run = await m.api.run(run_id);
    expect(run).toMatchObject({ reason: "runner_lost", error: expect.stringContaining("was not heard of for") });
    m.runner("a");
    const next = run.retried_by ?? "";
    await m.release(next);
    await m.becomes(next, "completed");
  });

  test("and that comes back: it does not know the run, which is runner_lost at once", async () => {
    await using m = await Machines.start();
    const runner = m.runner("a");
    const { run_id } = await m.submit();
    await m.world.file(`${run_id}.ready`);
    await m.losePower(runner, run_id);
    m.wipe("a");
    const again = m.runner("a");
    await again.line(/unknown here: reporting it as lost/);
    await m.becomes(run_id, "failed");
    expect(await m.api.run(run_id)).toMatchObject({ reason: "runner_lost" });
  });

  test("but whose executor goes on: the executor is ended with the report", async () => {
    await using m = await Machines.start();
    const runner = m.runner("a");
    const { run_id } = await m.submit();
    await m.world.file(`${run_id}.ready`);
    const [executor = 0] = processesWith("AGENT_RUN_ID", run_id);
    runner.signal("SIGKILL");
    await runner.exited;
    m.wipe("a");
    m.runner("a");
    await m.becomes(run_id, "failed");
    await until("the executor to be gone", () => !isAlive(executor));
    expect(groupOf(executor)).toBeDefined();
  });
});

describe("a runner that sleeps past the limit", () => {
  test("while its run is stopped: the run is given up, and its executor ended at the return", async () => {
    await using m = await Machines.start({ args: LOST_AFTER });
    const runner = m.runner("a");
    const { run_id } = await m.submit();
    await m.world.file(`${run_id}.ready`);
    const [executor = 0] = processesWith("AGENT_RUN_ID", run_id);
    runner.signal("SIGSTOP");
    await m.api.stop(run_id);
    expect(await m.status(run_id)).toBe("stopping");
    await m.becomes(run_id, "failed");
    expect(isAlive(executor)).toBe(true);
    runner.signal("SIGCONT");
    await until("the executor to be ended", () => !isAlive(executor));
    await until("the note", async () => (await m.api.run(run_id)).note !== null);
    expect((await m.api.run(run_id)).note).toMatch(/came back at .* and reported: stopped/);
    const { run_id: next } = await m.submit();
    await m.release(next);
    await m.becomes(next, "completed");
  });

  test("without a stop: the run fails, and a note keeps what the runner tells at its return", async () => {
    await using m = await Machines.start({ args: LOST_AFTER });
    const runner = m.runner("a");
    const { run_id } = await m.submit();
    await m.world.file(`${run_id}.ready`);
    runner.signal("SIGSTOP");
    await m.becomes(run_id, "failed");
    await m.release(run_id);
    await until("the executor to end", () => processesWith("AGENT_RUN_ID", run_id).length === 0);
    runner.signal("SIGCONT");
    await until("the note", async () => (await m.api.run(run_id)).note !== null);
    expect(await m.api.run(run_id)).toMatchObject({ status: "failed", note: expect.stringContaining("reported:") });
  });
});

describe("a coordinator that is restored from a backup", () => {
  test("with one runner: what was done since is answered with its outcome, and not executed again", async () => {
    await using m = await Machines.start();
    const runner = m.runner("a");
    await runner.line(/waiting for runs/);
    // It is suspended while the run is created, so that the backup has it as pending.
    runner.signal("SIGSTOP");
    const { run_id } = await m.submit();
    await m.backUp();
    runner.signal("SIGCONT");
    await m.release(run_id);
    await m.becomes(run_id, "completed");
    await m.restore();
    await m.becomes(run_id, "completed");
    expect(await m.timesBegun(run_id)).toBe(1);
    const { run_id: next } = await m.submit();
    await m.release(next);
    await m.becomes(next, "completed");
  });

  test("with two runners: a run that the first executes is not given to the second", async () => {
    await using m = await Machines.start();
    const first = m.runner("a");
    await first.line(/waiting for runs/);
    // It is suspended while the runs are created, so that the backup has them as pending.
    first.signal("SIGSTOP");
    const runs = [];
    for (let i = 0; i < 6; i++) runs.push(await m.submit());
    await m.backUp();
    first.signal("SIGCONT");
    for (const { run_id } of runs.slice(0, 3)) await m.release(run_id);
    for (const { run_id } of runs.slice(0, 3)) await m.becomes(run_id, "completed");
    for (const { run_id } of runs.slice(3)) await m.world.file(`${run_id}.ready`);
    await m.restore();
    const second = m.runner("b");
    await second.line(/waiting for runs/);
    for (const { run_id } of runs.slice(3)) await m.release(run_id);
    for (const { run_id } of runs) await m.becomes(run_id, "completed");
    for (const { run_id } of runs) expect(await m.timesBegun(run_id)).toBe(1);
    expect(m.log).toContain("a backup was restored");
    // From now on the second one takes runs, too.
    const { run_id } = await m.submit({ additional_demands: { tags: ["b"] } });
    await m.release(run_id);
    await m.becomes(run_id, "completed");
  });

  test("a run whose acknowledged end was lost is reported again from the runner's journal", async () => {
    await using m = await Machines.start();
    m.runner("a");
    const { run_id } = await m.submit();
    await m.world.file(`${run_id}.ready`);
    await m.backUp();
    await m.release(run_id);
    await m.becomes(run_id, "completed");
    await m.restore();
    await m.becomes(run_id, "completed");
    expect(await m.timesBegun(run_id)).toBe(1);
  });
});
