import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { invocation20, type StartedExecutor, startExecutor } from "../executors/start-executor.ts";
import { tempFolder } from "../harness/temp-folder.ts";
import { AT_ONCE_MS, until } from "../harness/until.ts";
import { fakeApi } from "./fake-api.ts";

const COMMAND = [process.execPath, join(import.meta.dir, "fixture-executor.ts")];

describe("runExecutor", () => {
  test("ends with the exit code of the work", async () => {
    using folder = tempFolder();
    using api = fakeApi();
    expect(await start(folder.path, api.url, invocation20("x")).ended).toBe(7);
    expect(api.outline()).toEqual(["POST /sessions/ses_000000000001/bind"]);
  });

  test("prints an error as one line on stderr, with exit code 1", async () => {
    using folder = tempFolder();
    using api = fakeApi();
    const executor = start(folder.path, api.url, invocation20("throw"));
    expect(await executor.ended).toBe(1);
    expect(executor.stderr()).toBe("listening\nfixture: first line second line\n");
  });

  test("names the fault of an invalid invocation", async () => {
    using folder = tempFolder();
    using api = fakeApi();
    const executor = start(folder.path, api.url, "not json");
    expect(await executor.ended).toBe(1);
    expect(executor.stderr()).toBe("listening\nfixture: the invocation is not valid JSON\n");
  });

  test("fails with a clear message when no runner started it", async () => {
    using folder = tempFolder();
    const executor = start(folder.path, "", invocation20("x"));
    expect(await executor.ended).toBe(1);
    expect(executor.stderr()).toContain("AGENT_ORCHESTRATOR_API_URL is not set");
  });

  test.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ] as const)("ends at once on %s, with %d", async (signal, exitCode) => {
    using folder = tempFolder();
    using api = fakeApi();
    const executor = start(folder.path, api.url, invocation20("wait"));
    await until("the executor is bound", () => executor.stdout() === "bound\n");
    const before = performance.now();
    executor.process.kill(signal);
    expect(await executor.ended).toBe(exitCode);
    expect(performance.now() - before).toBeLessThan(AT_ONCE_MS);
    expect(executor.stderr()).toBe("listening\n");
  });

  test("continues calls for lingerMs after a stop, and no longer", async () => {
    using folder = tempFolder();
    using api = fakeApi(({ body }) => (body["role"] === undefined ? undefined : new Promise<never>(() => {})));
    const stopped = async (lingerMs: string): Promise<void> => {
      const executor = start(folder.path, api.url, invocation20("send after stop"), { FIXTURE_LINGER_MS: lingerMs });
      await until("the executor is bound", () => executor.stdout() === "bound\n");
      executor.process.kill("SIGTERM");
      expect(await executor.ended).toBe(143);
    };
    await stopped("0");
    expect(api.outline()).not.toContain("message assistant");
    await stopped("1500");
    expect(api.outline()).toContain("message assistant");
  });

  test("obeys SIGTERM while stdin stays open", async () => {
    const child = Bun.spawn(COMMAND, { stdin: "pipe", stdout: "ignore", stderr: "pipe" });
    await child.stdin.write("{");
    await child.stdin.flush();
    await child.stderr.getReader().read();
    child.kill("SIGTERM");
    expect(await child.exited).toBe(143);
  });

  test("bypasses the proxy for the API", async () => {
    using folder = tempFolder();
    using api = fakeApi();
    let proxied = 0;
    using proxy = Bun.serve({ port: 0, fetch: () => (proxied++, new Response("proxy", { status: 404 })) });
    const url = proxy.url.href;
    const env = { HTTP_PROXY: url, http_proxy: url, NO_PROXY: "elsewhere", no_proxy: "elsewhere" };
    expect(await start(folder.path, api.url, invocation20("x"), env).ended).toBe(7);
    expect(proxied).toBe(0);
  });

  test.each([
    ["--help", "usage of the fixture"],
    ["--schema", "https://json-schema.org/draft/2020-12/schema"],
  ])("answers %s without an invocation", async (option, text) => {
    using folder = tempFolder();
    const executor = startExecutor([...COMMAND, option], { folder: folder.path, apiUrl: "", invocation: "" });
    expect(await executor.ended).toBe(0);
    expect(executor.stdout()).toContain(text);
  });

  test("refuses an unknown argument with exit code 2", async () => {
    using folder = tempFolder();
    const executor = startExecutor([...COMMAND, "--nope"], { folder: folder.path, apiUrl: "", invocation: "" });
    expect(await executor.ended).toBe(2);
    expect(executor.stderr()).toContain("fixture: unknown argument --nope; see --help\n");
  });
});

function start(folder: string, apiUrl: string, invocation: unknown, env: Record<string, string> = {}): StartedExecutor {
  return startExecutor(COMMAND, { folder, apiUrl, invocation, env });
}
