import { expect, test } from "bun:test";
import type { CommandArgs } from "../../src/commands/command-line/command.ts";
import { submitCommand } from "../../src/commands/submit.ts";
import { Fixture } from "../coordinator/fixture.ts";
import { tempFolder } from "../harness/temp-folder.ts";
import { type CommandRun, runOf } from "./command-run.ts";

async function submit(c: Fixture, args: CommandArgs): Promise<CommandRun> {
  using folder = tempFolder();
  return await runOf(
    submitCommand,
    { prompt: "x", wait: false, ...args },
    { HOME: folder.path, AGENT_ORCHESTRATOR_API_URL: c.coordinator.url },
  );
}

test("submit: the options of the schedule arrive at the run", async () => {
  await using c = await Fixture.start();
  const typed = {
    priority: "-5",
    "not-before": "2099-01-01T09:00:00+01:00",
    ttl: "30m",
    "max-attempts": "3",
    "retry-delay": "1m",
  };
  const { stdout } = await submit(c, typed);
  expect((await c.get(`/runs/${stdout.trim()}`)).body).toMatchObject({
    priority: -5,
    not_before: "2099-01-01T08:00:00.000Z",
    expires_at: "2099-01-01T08:30:00.000Z",
    max_attempts: 3,
    retry_delay_seconds: 60,
  });
});

test("submit --not-before: a time from now", async () => {
  await using c = await Fixture.start();
  const { stdout } = await submit(c, { "not-before": "2h" });
  const { not_before, created_at } = (await c.get(`/runs/${stdout.trim()}`)).body;
  expect(Math.abs(Date.parse(not_before) - Date.parse(created_at) - 7_200_000)).toBeLessThan(60_000);
});

test("submit --not-before: a time from now is counted by the coordinator's clock", async () => {
  await using c = await Fixture.start();
  const body = { type: "start_session", prompt: "x", not_before: "2001-01-01T00:00:00Z", delay_seconds: 7_200 };
  const { run_id } = (await c.post("/runs", body)).body;
  const { not_before, created_at } = (await c.get(`/runs/${run_id}`)).body;
  expect(Math.abs(Date.parse(not_before) - Date.parse(created_at) - 7_200_000)).toBeLessThan(5_000);
});

test("submit --not-before: a leap day that exists is taken", async () => {
  await using c = await Fixture.start();
  const { stdout } = await submit(c, { "not-before": "2096-02-29T23:30:00-01:00" });
  expect((await c.get(`/runs/${stdout.trim()}`)).body.not_before).toBe("2096-03-01T00:30:00.000Z");
});

test("submit --idempotency-key: the command twice creates one run", async () => {
  await using c = await Fixture.start();
  const first = await submit(c, { "idempotency-key": "k" });
  expect(await submit(c, { "idempotency-key": "k" })).toEqual(first);
  expect((await c.get("/runs")).body.runs).toHaveLength(1);
});

for (const [option, value] of [
  ["priority", "high"],
  ["not-before", "tomorrow"],
  ["not-before", "2027-02-30T08:00:00Z"],
  ["not-before", "2027-04-31T08:00:00+02:00"],
  ["not-before", "2027-02-29T08:00:00Z"],
  ["not-before", "9999999d"],
  ["ttl", "soon"],
  ["max-attempts", "0"],
  ["retry-delay", "-1"],
] as const) {
  test(`submit --${option} ${value}: exit code 2, with the option's name`, async () => {
    await using c = await Fixture.start();
    const fault: unknown = await submit(c, { [option]: value }).catch((error: unknown) => error);
    expect(fault).toMatchObject({ exitCode: 2, message: expect.stringContaining(`--${option}: `) });
  });
}
