import { describe, expect, test } from "bun:test";
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLog } from "../../../src/log.ts";
import { tempFolder } from "../../harness/temp-folder.ts";
import { until } from "../../harness/until.ts";
import { Fixture } from "../fixture.ts";

const JSON_OF = { name: "coder", description: "writes code", tags: ["code"], demands: { tags: ["gpu"] } };

/** A folder of agents, a coordinator that uses it, and the coordinator's log. */
async function world(files: Record<string, unknown> = {}) {
  const folder = tempFolder();
  const lines: string[] = [];
  const write = (path: string, what: unknown): void => {
    mkdirSync(join(folder.path, path, ".."), { recursive: true });
    writeFileSync(join(folder.path, path), typeof what === "string" ? what : JSON.stringify(what));
  };
  for (const [path, what] of Object.entries(files)) write(path, what);
  const c = await Fixture.start();
  const log = createLog("coordinator", { format: "text", verbose: false, write: (line) => void lines.push(line) });
  const restart = (meanwhile?: () => void): Promise<void> => c.restart({ agentsDir: folder.path, log }, meanwhile);
  await restart();
  const end = async (): Promise<void> => {
    await c[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  };
  const description = async (): Promise<string> => (await c.get("/agents/coder")).body.description;
  return { c, path: folder.path, lines, write, restart, description, [Symbol.asyncDispose]: end };
}

describe("agents as files", () => {
  test("are served like stored agents, with prompt and MCP servers from separate files", async () => {
    const mcp = { search: { type: "http", url: "http://localhost/mcp" } };
    await using w = await world({
      "coder/agent.json": JSON_OF,
      "coder/agent.system-prompt.md": "You write code.\n",
      "coder/agent.mcp.json": { mcpServers: mcp },
      "plain/agent.json": { description: "no name, servers inside", mcp_servers: mcp, skills: ["x"] },
      "off/agent.json": { name: "off", description: "" },
      "off/agent.mcp.json": mcp,
      "off/.disabled": "",
      "not-an-agent/readme.md": "",
    });
    const times = { created_at: expect.stringMatching(/Z$/), modified_at: expect.stringMatching(/Z$/) };
    expect((await w.c.get("/agents/coder")).body).toEqual({
      ...JSON_OF,
      system_prompt: "You write code.\n",
      mcp_servers: mcp,
      status: "active",
      source: "file",
      ...times,
    });
    const list = (await w.c.get("/agents")).body;
    expect(list.map((agent: { name: string }) => agent.name)).toEqual(["coder", "off", "plain"]);
    expect(list[1]).toMatchObject({ status: "inactive", mcp_servers: mcp });
    expect(list[2]).toMatchObject({ mcp_servers: mcp, skills: ["x"] });
    expect((await w.c.get("/agents?tags=code")).body).toHaveLength(1);
    const { run_id } = await w.c.start({ agent_name: "coder" });
    expect((await w.c.get(`/runs/${run_id}`)).body.demands).toEqual({ tags: ["gpu"] });
  });

  test("replace the stored agent of the same name until the file is deleted", async () => {
    await using w = await world();
    await w.c.post("/agents", { name: "coder", description: "from the API" });
    w.write("coder/agent.json", JSON_OF);
    await until("the file counts", async () => (await w.description()) === "writes code");
    expect((await w.c.get("/agents")).body).toHaveLength(1);
    rmSync(join(w.path, "coder"), { recursive: true });
    await until("the database's is back", async () => (await w.description()) === "from the API");
  });

  test("are read-only in the API: 409 with the file's path", async () => {
    await using w = await world({ "coder/agent.json": JSON_OF });
    for (const [method, path, body] of [
      ["POST", "/agents", JSON_OF],
      ["PATCH", "/agents/coder", { description: "x" }],
      ["PATCH", "/agents/coder/status", { status: "inactive" }],
      ["DELETE", "/agents/coder", undefined],
    ] as const) {
      const { status, body: answer } = await w.c.call(method, path, body);
      expect([status, answer.detail]).toEqual([409, expect.stringContaining(join(w.path, "coder", "agent.json"))]);
    }
  });

  test("are read again after a change: rewritten, replaced, in a new folder, in a replaced folder", async () => {
    await using w = await world({ "coder/agent.json": JSON_OF });
    const changed = (description: string): object => ({ ...JSON_OF, description });
    w.write("coder/agent.json", changed("rewritten"));
    await until("rewritten", async () => (await w.description()) === "rewritten");
    w.write("coder/agent.json.tmp", changed("replaced"));
    renameSync(join(w.path, "coder/agent.json.tmp"), join(w.path, "coder/agent.json"));
    await until("replaced", async () => (await w.description()) === "replaced");
    w.write("coder/agent.system-prompt.md", "new prompt");
    await until("the prompt", async () => (await w.c.get("/agents/coder")).body.system_prompt === "new prompt");
    renameSync(join(w.path, "coder"), join(w.path, ".old"));
    w.write("coder/agent.json", changed("another folder"));
    await until("another folder", async () => (await w.description()) === "another folder");
    w.write("coder/agent.json", changed("and again"));
    await until("and again", async () => (await w.description()) === "and again");
    w.write("later/agent.json", { description: "a new one" });
    await until("a new one", async () => (await w.c.get("/agents/later")).status === 200);
  });

  test("that become broken keep their last good definition and log one warning", async () => {
    await using w = await world({ "coder/agent.json": JSON_OF });
    w.write("coder/agent.json", '{"name": "coder",');
    await until("the line", () =>
      w.lines.some((line) => /WARNING.*coder.*broken; keeping its last good definition.*not valid JSON/.test(line)),
    );
    expect(await w.description()).toBe("writes code");
    w.write("coder/agent.json", { ...JSON_OF, description: "mended" });
    await until("mended", async () => (await w.description()) === "mended");
    expect(w.lines.filter((line) => line.includes("broken"))).toHaveLength(1);
  });

  test("that are broken from the start are 404, and hide the stored agent of the same name", async () => {
    await using w = await world();
    await w.c.post("/agents", { name: "coder", description: "from the API" });
    await w.restart(() => w.write("coder/agent.json", { name: "coder" }));
    expect((await w.c.get("/agents/coder")).body.detail).toMatch(/broken.*description/);
    expect((await w.c.get("/agents/coder")).status).toBe(404);
    expect((await w.c.get("/agents")).body).toEqual([]);
  });

  for (const [what, files, fault] of [
    [
      "another name than the folder's",
      { "coder/agent.json": { ...JSON_OF, name: "other" } },
      /"other" differs from the folder's name/,
    ],
    [
      "two system prompts",
      { "coder/agent.json": { ...JSON_OF, system_prompt: "a" }, "coder/agent.system-prompt.md": "b" },
      /contain a system prompt/,
    ],
    [
      "two sets of servers",
      { "coder/agent.json": { ...JSON_OF, mcp_servers: {} }, "coder/agent.mcp.json": {} },
      /contain MCP servers/,
    ],
    ["a field of the wrong kind", { "coder/agent.json": { ...JSON_OF, tags: "code" } }, /agent\.json: tags: /],
    [
      "wrapped servers of the wrong kind",
      { "coder/agent.json": JSON_OF, "coder/agent.mcp.json": { mcpServers: { a: { args: "x" } } } },
      /agent\.mcp\.json: a\.args: /,
    ],
    [
      "a folder name that is no agent name",
      { "two words/agent.json": { description: "" } },
      /folder's name is not an agent name/,
    ],
  ] as const) {
    test(`with ${what} are broken`, async () => {
      await using w = await world(files);
      expect(w.lines.join("")).toMatch(fault);
      expect((await w.c.get("/agents")).body).toEqual([]);
    });
  }
});
