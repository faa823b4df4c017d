import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../harness/until.ts";
import { invocation20 } from "./start-executor.ts";
import { FILE, place, SESSION, start } from "./test-executor-place.ts";

describe("directives", () => {
  test("!output and !stderr write the exact number of bytes", async () => {
    using at = place();
    const executor = start(at, invocation20("!output 3MB\n!stderr 100KB\nx"));
    expect(await executor.ended).toBe(0);
    expect(executor.stdout().length).toBe(3 * 1024 * 1024 + `[test-executor] turn 1 of session ${SESSION}: x\n`.length);
    expect(executor.stderr().length).toBe(100 * 1024);
  });

  test("!ignore-sigterm continues after a stop", async () => {
    using at = place();
    const executor = start(at, invocation20("!ignore-sigterm\n!write ready yes\n!wait go\nx"));
    await until("the turn has begun", () => existsSync(join(at.folder, "ready")));
    executor.process.kill("SIGTERM");
    writeFileSync(join(at.folder, "go"), "");
    expect(await executor.ended).toBe(0);
  });

  test("!no-session-stop ends with 0 and leaves the session open", async () => {
    using at = place();
    expect(await start(at, invocation20("!no-session-stop\nx")).ended).toBe(0);
    expect(at.api.outline().at(-1)).toBe("result");
  });

  test("!env prints the names without values", async () => {
    using at = place();
    const executor = start(at, invocation20("!env"), { SOME_SECRET: "value-of-it" });
    await executor.ended;
    expect(executor.stdout().split("\n")).toContain("SOME_SECRET");
    expect(executor.stdout()).not.toContain("value-of-it");
  });

  test("!write writes a line, relative to the working folder", async () => {
    using at = place();
    await start(at, invocation20("!write note.txt two words")).ended;
    expect(readFileSync(join(at.folder, "note.txt"), "utf8")).toBe("two words\n");
  });

  test("!child starts a session in mode async_callback, with a prompt of several lines", async () => {
    using at = place(({ path, body }) =>
      path === "/runs"
        ? Response.json({ run_id: "run_1", session_id: body["session_id"], status: "pending" })
        : undefined,
    );
    const executor = start(at, invocation20("!child !sleep 1s\\nhello"));
    expect(await executor.ended).toBe(0);
    const child = at.api.calls.find((call) => call.path === "/runs")?.body;
    expect(child).toMatchObject({
      prompt: "!sleep 1s\nhello",
      parent_session_id: SESSION,
      execution_mode: "async_callback",
    });
    expect(executor.stdout()).toStartWith(`[test-executor] started child session ${String(child?.["session_id"])}\n`);
  });

  test.each([
    ["completed", 0, "of the child"],
    ["failed", 1, ""],
  ])("!child-sync waits for a child that has %s", async (status, exit, printed) => {
    using at = place(({ method, path, body }) => {
      if (path === "/runs")
        return Response.json({ run_id: "run_1", session_id: body["session_id"], status: "pending" });
      if (path === "/runs/run_1") return Response.json({ run_id: "run_1", session_id: "c", status, error: "no luck" });
      return method === "GET" ? Response.json({ result: "of the child" }) : undefined;
    });
    const executor = start(at, invocation20("!child-sync hello"));
    expect(await executor.ended).toBe(exit);
    expect(executor.stdout()).toStartWith(printed);
    if (exit === 1) expect(executor.stderr()).toContain("failed: no luck");
  });

  test.skipIf(process.platform === "win32")("!grandchild leaves a process that holds the output", async () => {
    using at = place();
    const ms = randomMs();
    const executor = start(at, invocation20(`!grandchild ${ms}ms`));
    expect(await executor.ended).toBe(0);
    using leftover = await leftoverSleep(ms);
    if (process.platform === "linux") expect(readlinkSync(`/proc/${leftover.pid}/fd/1`)).toEndWith(".out");
    expect(leftover.group).toBe(groupOf(process.pid));
  });

  test.skipIf(process.platform === "win32")("!daemon leaves a process in its own process session", async () => {
    using at = place();
    const ms = randomMs();
    const executor = start(at, invocation20(`!daemon ${ms}ms`));
    expect(await executor.ended).toBe(0);
    using leftover = await leftoverSleep(ms);
    expect(leftover.group).not.toBe(executor.process.pid);
    expect(leftover.group).not.toBe(groupOf(process.pid));
    expect(leftover.parent).not.toBe(executor.process.pid);
  });

  test("are all in --help and in the README", async () => {
    using at = place();
    const executor = start(at, invocation20("!nonsense"));
    await executor.ended;
    const names =
      executor
        .stderr()
        .match(/![a-z-]+/g)
        ?.slice(1) ?? [];
    expect(names.length).toBeGreaterThan(15);
    const folder = join(FILE, "..");
    for (const text of ["usage.txt", "README.md"].map((file) => readFileSync(join(folder, file), "utf8"))) {
      expect(names.filter((name) => !text.includes(name))).toEqual([]);
    }
  });
});

interface ListedProcess {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly command: string;
}

function processes(): ListedProcess[] {
  const { stdout } = Bun.spawnSync(["ps", "-A", "-o", "pid=,ppid=,pgid=,args="]);
  return stdout
    .toString()
    .split("\n")
    .flatMap((line) => {
      const [, pid, parent, group, command] = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
      return command === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), group: Number(group), command }];
    });
}

/** A random time, so that no other process sleeps for the same time. */
function randomMs(): number {
  return 30_000 + Math.floor(Math.random() * 30_000);
}

async function leftoverSleep(ms: number): Promise<ListedProcess & Disposable> {
  const command = `sleep ${ms / 1000}`;
  const leftover = await until(`a process ${command}`, () => processes().find((each) => each.command === command));
  return { ...leftover, [Symbol.dispose]: () => void process.kill(leftover.pid, "SIGKILL") };
}

function groupOf(pid: number): number {
  return processes().find((each) => each.pid === pid)?.group ?? 0;
}
