import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { findExecutorByName } from "../../src/catalog/find-executor.ts";
import { scanFolder } from "../../src/catalog/scan-folder.ts";
import { fakeApi } from "../executor-kit/fake-api.ts";
import { tempFolder } from "../harness/temp-folder.ts";
import { type StartedExecutor, startExecutor } from "./start-executor.ts";

const EXECUTORS = join(import.meta.dir, "../../executors");
const SESSION = "ses_000000000001";
const V20 = { schema_version: "2.0", session_id: SESSION, prompt: "hello" };
const V22 = { schema_version: "2.2", session_id: SESSION, parameters: { prompt: "hello" } };

function start(name: string, folder: string, apiUrl: string, invocation: object): StartedExecutor {
  const executor = findExecutorByName(name, {
    folders: [join(EXECUTORS, "examples")],
    binaryFolder: folder,
    env: { PATH: process.env["PATH"] },
    executorConfigs: {},
    selfCommand: [process.execPath],
    stateDir: folder,
    trustedFolders: [],
  });
  return startExecutor(executor.command, { folder, apiUrl, invocation, env: { ...executor.env } });
}

describe("executors/examples", () => {
  test("are three, and none belongs to the parent folder", () => {
    expect(scanFolder(join(EXECUTORS, "examples")).map(({ name }) => name)).toEqual(["python", "shell", "typescript"]);
    expect(scanFolder(EXECUTORS).map(({ name }) => name)).not.toContain("examples");
  });

  test("are all linked in the README", () => {
    const readme = readFileSync(join(EXECUTORS, "README.md"), "utf8");
    for (const { name, files } of scanFolder(join(EXECUTORS, "examples")))
      expect(readme).toContain(`(examples/${name}/${files[0]})`);
  });

  test("shell prints its result and makes no calls", async () => {
    using folder = tempFolder();
    using api = fakeApi();
    const invocation = { ...V20, mode: "start" };
    const executor = start("shell", folder.path, api.url, invocation);
    expect(await executor.ended).toBe(0);
    const { length } = JSON.stringify(invocation);
    expect(executor.stdout()).toBe(`session ${SESSION}: read ${length} characters of JSON in ${folder.path}\n`);
    expect(api.calls).toEqual([]);
  });

  describe.each(["python", "typescript"])("%s", (name) => {
    test.each([V20, V22])("starts and resumes, %#", async (invocation) => {
      using folder = tempFolder();
      using api = fakeApi();
      for (const mode of ["start", "resume"]) {
        const executor = start(name, folder.path, api.url, { ...invocation, mode });
        expect({ exit: await executor.ended, stderr: executor.stderr() }).toEqual({ exit: 0, stderr: "" });
        expect(executor.stdout()).toBe("HELLO\n");
      }
      const turn = ["message user", "message assistant", "result", "session_stop"];
      const bind = `POST /sessions/${SESSION}/bind`;
      expect(api.outline()).toEqual([bind, ...turn, bind, "session_start", ...turn]);
      expect(api.calls[0]?.body).toMatchObject({ executor_type: name, project_dir: folder.path });
      expect(api.calls[2]?.body).toMatchObject({ session_id: SESSION, content: [{ type: "text", text: "HELLO" }] });
    });

    test("fails when the API refuses a call", async () => {
      using folder = tempFolder();
      using api = fakeApi(() => Response.json({ detail: "no such session" }, { status: 404 }));
      const executor = start(name, folder.path, api.url, { ...V20, mode: "start" });
      expect(await executor.ended).toBe(1);
      expect(executor.stderr()).toContain("404");
      expect(api.calls).toHaveLength(1);
    });
  });
});
