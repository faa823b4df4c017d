import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { agentsCommand } from "../../src/commands/agents.ts";
import type { CommandArgs } from "../../src/commands/command-line/command.ts";
import { Fixture } from "../coordinator/fixture.ts";
import { tempFolder } from "../harness/temp-folder.ts";
import { type CommandRun, runOf } from "./command-run.ts";

test("agents: add a folder, list, show, replace, remove", async () => {
  using folder = tempFolder();
  await using c = await Fixture.start();
  const coder = join(folder.path, "coder");
  const agents = (args: CommandArgs): Promise<CommandRun> =>
    runOf(agentsCommand, args, { HOME: folder.path, AGENT_ORCHESTRATOR_API_URL: c.coordinator.url });
  mkdirSync(coder);
  writeFileSync(join(coder, "agent.json"), JSON.stringify({ description: "writes code", tags: ["a", "b"] }));
  writeFileSync(join(coder, "agent.system-prompt.md"), "You write code.");
  expect((await agents({ action: "add", agent: coder })).code).toBe(0);
  expect((await agents({})).stdout).toMatch(/^AGENT .*\ncoder +active +- +a,b +writes code\n$/);
  expect(JSON.parse((await agents({ action: "show", agent: "coder" })).stdout)).toMatchObject({
    name: "coder",
    system_prompt: "You write code.",
  });
  writeFileSync(join(coder, "agent.json"), JSON.stringify({ description: "new" }));
  expect(await agents({ action: "add", agent: coder }).catch((error: unknown) => error)).toMatchObject({
    message: expect.stringContaining("already exists"),
  });
  await agents({ action: "add", agent: coder, replace: true });
  expect(JSON.parse((await agents({ action: "list", json: true })).stdout)).toMatchObject([
    { name: "coder", description: "new", tags: [] },
  ]);
  await agents({ action: "rm", agent: "coder" });
  expect(JSON.parse((await agents({ action: "list", json: true })).stdout)).toEqual([]);
});

test("agents: a wrong action, a missing name and a broken folder are usage errors", async () => {
  using folder = tempFolder();
  await using c = await Fixture.start();
  const fault = (args: CommandArgs): Promise<unknown> =>
    runOf(agentsCommand, args, { HOME: folder.path, AGENT_ORCHESTRATOR_API_URL: c.coordinator.url }).catch(
      (error: unknown) => error,
    );
  expect(await fault({ action: "remove" })).toMatchObject({
    exitCode: 2,
    message: 'ACTION: "remove" is none of list, show, add, rm',
  });
  expect(await fault({ action: "rm" })).toMatchObject({ exitCode: 2 });
  expect(await fault({ action: "add", agent: join(folder.path, "nothing") })).toMatchObject({
    exitCode: 2,
    message: expect.stringContaining("agent.json"),
  });
  expect(await fault({ action: "rm", agent: "nobody" })).toMatchObject({
    exitCode: 1,
    message: expect.stringContaining("Agent not found"),
  });
});
