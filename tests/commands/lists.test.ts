import { expect, test } from "bun:test";
import type { Command, CommandArgs } from "../../src/commands/command-line/command.ts";
import { runnersCommand, runsCommand, sessionsCommand } from "../../src/commands/lists.ts";
import { UserError } from "../../src/errors.ts";
import { stubServer } from "../client/stub-server.ts";
import { tempFolder } from "../harness/temp-folder.ts";
import { type CommandRun, runOf } from "./command-run.ts";

const RUNS = Array.from({ length: 60 }, (_, i) => ({
  run_id: `run_${i}`,
  session_id: `ses_${i}`,
  status: "completed",
}));
const SESSION = { session_id: "ses_1", status: "finished", agent_name: "a\x1b[2J", parent_session_id: "ses_0" };
const RUNNER = {
  runner_id: "lnch_1",
  status: "online",
  hostname: "h",
  executor_profile: "x",
  tags: ["a", "b"],
  seconds_since_heartbeat: 12.4,
};

async function list(command: Command, args: CommandArgs = {}): Promise<CommandRun> {
  using folder = tempFolder();
  await using server = stubServer(({ url }) => {
    if (url.startsWith("/runs?")) return Response.json({ runs: RUNS });
    return Response.json(url.startsWith("/sessions?") ? { sessions: [SESSION] } : { runners: [RUNNER] });
  });
  return await runOf(command, args, { HOME: folder.path, AGENT_ORCHESTRATOR_API_URL: server.url });
}

test("runs: the newest 50, with a note that there are more", async () => {
  const { code, stdout, stderr } = await list(runsCommand);
  const lines = stdout.trimEnd().split("\n");
  expect([code, lines.length, lines[1]?.split(/\s+/)[0], lines.at(-1)?.split(/\s+/)[0]]).toEqual([
    0,
    51,
    "run_10",
    "run_59",
  ]);
  expect(stderr).toBe("Only the newest 50 are shown; --limit N shows more, --limit 0 all\n");
});

test("runs --limit: the newest N, or all", async () => {
  expect((await list(runsCommand, { limit: "2" })).stdout.trimEnd().split("\n")).toHaveLength(3);
  const all = await list(runsCommand, { limit: "0" });
  expect([all.stdout.trimEnd().split("\n").length, all.stderr]).toEqual([61, ""]);
  expect(await list(runsCommand, { limit: "few" }).catch((error: unknown) => error)).toMatchObject({ exitCode: 2 });
});

test("runs: asks a coordinator with pages for the filtered rows up to the limit", async () => {
  const asked: string[] = [];
  await using server = stubServer(({ url }) => {
    asked.push(url);
    const query = new URL(url, "http://x").searchParams;
    const before = Number(query.get("cursor") ?? 60);
    const runs = RUNS.slice(Math.max(0, before - Number(query.get("limit"))), before).reverse();
    return Response.json({ runs, next_cursor: before > runs.length ? String(before - runs.length) : null });
  });
  using folder = tempFolder();
  const env = { HOME: folder.path, AGENT_ORCHESTRATOR_API_URL: server.url };
  const { stdout, stderr } = await runOf(runsCommand, { limit: "2", status: "completed,failed" }, env);
  expect(
    stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/\s+/)[0]),
  ).toEqual(["RUN", "run_58", "run_59"]);
  expect([asked, stderr]).toEqual([
    ["/runs?status=completed%2Cfailed&limit=2"],
    expect.stringContaining("Only the newest 2"),
  ]);
  const all = await runOf(runsCommand, { limit: "0" }, env);
  expect([all.stdout.trimEnd().split("\n").length, all.stderr]).toEqual([61, ""]);
});

test("runs: shows what a pending run waits for, and filters the list of a coordinator without filters", async () => {
  const runs = [{ run_id: "run_1", session_id: "s", status: "pending", waiting_for: "turn" }, ...RUNS];
  await using server = stubServer(() => Response.json({ runs }));
  using folder = tempFolder();
  const env = { HOME: folder.path, AGENT_ORCHESTRATOR_API_URL: server.url };
  expect((await runOf(runsCommand, { status: "pending" }, env)).stdout).toMatch(/^RUN .*\nrun_1 +pending \(turn\) +s /);
  expect((await runOf(runsCommand, { session: "ses_7" }, env)).stdout.trimEnd().split("\n")).toHaveLength(2);
});

test("runs --json: an array", async () => {
  const rows = JSON.parse((await list(runsCommand, { json: true, limit: "1" })).stdout) as unknown[];
  expect(rows).toMatchObject([{ run_id: "run_59", status: "completed" }]);
});

test("sessions, runners: one row each, which cannot control the terminal", async () => {
  expect((await list(sessionsCommand)).stdout.split("\n")[1]).toBe("ses_1    finished  a      ses_0   -        -");
  expect((await list(runnersCommand)).stdout.split("\n")[1]).toBe(
    "lnch_1  online  h     x         a,b   12 s ago        -",
  );
});

test("lists: no coordinator is exit code 4 with a hint", async () => {
  using folder = tempFolder();
  const server = stubServer(() => new Response());
  await server[Symbol.asyncDispose]();
  const error: unknown = await runOf(
    runsCommand,
    {},
    { HOME: folder.path, AGENT_ORCHESTRATOR_API_URL: server.url },
  ).catch((fault: unknown) => fault);
  expect(error).toBeInstanceOf(UserError);
  expect(error).toMatchObject({ exitCode: 4, hint: expect.stringContaining("agent-runner up") });
});
