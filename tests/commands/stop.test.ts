import { expect, test } from "bun:test";
import { logsCommand } from "../../src/commands/logs.ts";
import { runnersCommand, runsCommand } from "../../src/commands/lists.ts";
import { stopCommand } from "../../src/commands/stop.ts";
import type { Command, CommandArgs } from "../../src/commands/command-line/command.ts";
import { submitCommand } from "../../src/commands/submit.ts";
import { stubServer } from "../client/stub-server.ts";
import { tempFolder } from "../harness/temp-folder.ts";
import { type CommandRun, runOf } from "./command-run.ts";

const RUN = { run_id: "run_0123456789ab", session_id: "ses_0123456789ab", runner_id: "lnch_1", status: "stopping" };
const LOST = {
  ...RUN,
  status: "failed",
  reason: "runner_lost",
  error: "Lost: its runner was not heard of for 15 min",
  note: "Its runner came back at 2026-01-31T08:00:00Z and reported: completed",
};
const IN_WORDS =
  "its runner was lost before it reported the end (Lost: its runner was not heard of for 15 min). " +
  "Its runner came back at 2026-01-31T08:00:00Z and reported: completed";

/** Runs a command against a coordinator with one run and one runner. */
async function at(
  { run = RUN, runner }: { readonly run?: object; readonly runner?: object },
  command: Command,
  args: CommandArgs,
): Promise<CommandRun> {
  using folder = tempFolder();
  await using server = stubServer(({ method, url }) => {
    if (url === "/runners") return Response.json({ runners: [{ runner_id: "lnch_1", hostname: "mill", ...runner }] });
    if (method === "POST" && url === "/runs") return Response.json({ ...run, status: "pending" });
    if (url.includes("/events")) return Response.json({ events: [] });
    if (url.startsWith("/runs?")) return Response.json({ runs: [run] });
    return Response.json(run);
  });
  return await runOf(command, args, { HOME: folder.path, AGENT_ORCHESTRATOR_API_URL: server.url });
}

const stop = (runner: object): Promise<CommandRun> => at({ runner }, stopCommand, { id: RUN.run_id });

test("stop: says that the runner cannot be reached, and when its run is given up", async () => {
  expect(await stop({ status: "stale", lost_in_seconds: 725 })).toEqual({
    code: 0,
    stdout: "run_0123456789ab: stopping\n",
    stderr:
      "The runner of run_0123456789ab (mill) cannot be reached: " +
      "the run stays stopping until the runner answers or is given up, in 13 min\n",
  });
  expect((await stop({ status: "stale", lost_in_seconds: 42.3 })).stderr).toContain("given up, in 42 s\n");
});

test("stop: without a countdown where the coordinator tells none, and nothing of a runner that answers", async () => {
  expect((await stop({ status: "stale" })).stderr).toEndWith("stays stopping until the runner answers\n");
  expect((await stop({ status: "online" })).stderr).toBe("");
});

test("runners: shows when the runs of a silent runner are given up", async () => {
  const { stdout } = await at({ runner: { status: "stale", lost_in_seconds: 725 } }, runnersCommand, {});
  expect(stdout).toContain("stale (runs given up in 13 min)");
});

test("runs, logs and submit --wait: say in words that the runner was lost, with the note", async () => {
  expect((await at({ run: LOST }, runsCommand, {})).stdout).toContain(IN_WORDS);
  expect((await at({ run: LOST }, logsCommand, { id: RUN.run_id, stream: "events" })).stderr).toBe(
    `Run ${RUN.run_id} failed: ${IN_WORDS}\n`,
  );
  const followed = await at({ run: LOST }, submitCommand, { prompt: "x", wait: true });
  expect([followed.code, followed.stderr]).toEqual([1, expect.stringContaining(`failed: ${IN_WORDS}\n`)]);
});
