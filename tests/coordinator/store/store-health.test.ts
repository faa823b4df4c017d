import { describe, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startCoordinator } from "../../../src/coordinator/coordinator.ts";
import { createLog, silentLog } from "../../../src/log.ts";
import { smallDisk } from "../../harness/small-disk.ts";
import { tempFolder } from "../../harness/temp-folder.ts";
import { until } from "../../harness/until.ts";

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function start(databasePath: string, lines: string[]) {
  const log = createLog("coordinator", { format: "text", verbose: false, write: (line) => lines.push(line) });
  const coordinator = await startCoordinator({ host: "127.0.0.1", port: 0, databasePath, log });
  const call = async (method: string, path: string, body?: unknown): Promise<Answer> => {
    const init = { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const response = await fetch(coordinator.url + path, init);
    return { status: response.status, text: await response.text() };
  };
  const create = (prompt = "do it"): Promise<Answer> => call("POST", "/runs", { type: "start_session", prompt });
  return { call, create, close: () => coordinator.close(), [Symbol.asyncDispose]: () => coordinator.close() };
}

describe("a disk that is full", () => {
  test.skipIf(!smallDisk.isPossible)("is told once, to clients in words, and heals by itself", async () => {
    using disk = smallDisk.mount(8);
    const ballast = join(disk.path, "ballast");
    const lines: string[] = [];
    await using c = await start(join(disk.path, "c.db"), lines);
    writeFileSync(ballast, Buffer.alloc(4 * 1024 * 1024));
    const refused = await until("there is no room", async () => {
      const answer = await c.create("x".repeat(200_000));
      return answer.status === 200 ? null : answer;
    });
    expect(refused.status).toBe(507);
    expect(refused.text).toContain("no room on the disk");
    expect(await c.create("x".repeat(200_000))).toEqual(refused);
    const sick = await c.call("GET", "/health");
    expect(sick.status).toBe(503);
    expect(sick.text).toContain("no room on the disk");
    expect((await c.call("GET", "/runs?limit=1")).status).toBe(200);
    const told = lines.filter((line) => line.includes("no room"));
    expect(told).toHaveLength(1);
    expect(lines.join("")).not.toContain("    at ");

    rmSync(ballast);
    await until("it heals", async () => (await c.call("GET", "/health")).status === 200);
    expect((await c.create("small")).status).toBe(200);
    expect(lines.filter((line) => line.includes("can be used again"))).toHaveLength(1);
  });
});

describe("a damaged file", () => {
  test("is refused at the start, with what to do", async () => {
    using folder = tempFolder();
    const databasePath = join(folder.path, "c.db");
    const lines: string[] = [];
    {
      await using c = await start(databasePath, lines);
      for (let i = 0; i < 50; i++) await c.create(`prompt ${i} ${"x".repeat(500)}`);
    }
    const bytes = readFileSync(databasePath);
    // The header of a page in the middle: the tree of a table or an index no longer holds together.
    bytes.fill(0xff, 4096 * 5, 4096 * 5 + 64);
    writeFileSync(databasePath, bytes);
    const starting = startCoordinator({ host: "127.0.0.1", port: 0, databasePath, log: silentLog });
    await expect(starting).rejects.toMatchObject({
      message: expect.stringContaining("is damaged"),
      hint: expect.stringContaining("Restore a backup"),
    });
  });

  test("that is no database at all is told as such", async () => {
    using folder = tempFolder();
    const databasePath = join(folder.path, "c.db");
    writeFileSync(databasePath, "this is a text file, and long enough for a header of a database ".repeat(20));
    const starting = startCoordinator({ host: "127.0.0.1", port: 0, databasePath, log: silentLog });
    await expect(starting).rejects.toMatchObject({ message: expect.stringContaining("is damaged") });
  });
});
