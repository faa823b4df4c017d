import { expect, test } from "bun:test";
import { chmodSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { spawnExecutor } from "../../src/process/spawn.ts";
import { isAlive, killProcess } from "../harness/processes.ts";
import { until } from "../harness/until.ts";
import { type Place, place, started, startScript } from "./started-process.ts";

const isLinux = process.platform === "linux";

function reasonOf(at: Place, command: readonly string[], more: { projectDir?: string } = {}): string {
  const spawned = spawnExecutor(at.request(command, more));
  return spawned.kind === "not-started" ? spawned.reason : "it was started";
}

function script(at: Place, text: string, mode = 0o755): string {
  const path = join(at.path, "ao-own-exec");
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

test("spawnExecutor: stdin arrives complete, and ends", async () => {
  using at = place();
  const stdin = `${"ü".repeat(500_000)}\n`;
  await using run = startScript(at, "cat", { stdin });
  expect(await run.process.exited).toEqual({ code: 0, signal: null });
  expect(run.process.stdout.size()).toBe(Buffer.byteLength(stdin));
});

test.if(isLinux)("spawnExecutor: stdin is an unlinked file of mode 0600", async () => {
  using at = place();
  await using run = startScript(at, "stat -L -c '%a %h' /dev/stdin; readlink /proc/self/fd/0", { stdin: "secret" });
  await run.process.exited;
  expect(run.stdout().split("\n")).toEqual(["600 0", expect.stringContaining("(deleted)")]);
  expect(readdirSync(join(at.path, "run")).toSorted()).toEqual(["begun.0", "exit", "stderr", "stdout"]);
});

test("spawnExecutor: an executor that never reads its stdin still ends", async () => {
  using at = place();
  await using run = startScript(at, "exit 0", { stdin: "x".repeat(1_000_000) });
  expect(await run.process.exited).toEqual({ code: 0, signal: null });
});

test("spawnExecutor: keeps stdout and stderr apart", async () => {
  using at = place();
  await using run = startScript(at, "echo out; echo err >&2");
  await run.process.exited;
  expect([run.process.stdout.tail(100), run.process.stderr.tail(100)]).toEqual(["out", "err"]);
});

test.each([0, 1, 3, 126, 255])("spawnExecutor: reports exit code %i", async (code) => {
  using at = place();
  await using run = startScript(at, `exit ${code}`);
  expect(await run.process.exited).toEqual({ code, signal: null });
});

test.each(["SIGTERM", "SIGKILL", "SIGSEGV", "SIGINT"] as const)("spawnExecutor: reports signal %s", async (signal) => {
  using at = place();
  await using run = startScript(at, `kill -${signal.slice(3)} $$; sleep 60`);
  expect(await run.process.exited).toEqual({ code: null, signal });
});

test("spawnExecutor: runs in the project directory, with exactly the given environment", async () => {
  using at = place();
  const env = { PATH: process.env["PATH"] ?? "", ONLY: "this" };
  await using run = started(at.request(["sh", "-c", "pwd; env"], { env }));
  await run.process.exited;
  const [folder, ...variables] = run.stdout().split("\n");
  expect(folder).toBe(join(at.path, "project"));
  const names = variables
    .map((line) => line.split("=")[0] ?? "")
    .filter((name) => !["PWD", "OLDPWD", "SHLVL", "_"].includes(name));
  expect(names.toSorted()).toEqual(["ONLY", "PATH"]);
});

test.if(isLinux)(
  "spawnExecutor: the executor leads its own session and group, and inherits no descriptor",
  async () => {
    using at = place();
    await using run = startScript(at, "cut -d' ' -f5,6 /proc/$$/stat; ls /proc/$$/fd");
    await run.process.exited;
    const [ids, ...descriptors] = run.stdout().split("\n");
    expect(ids).toBe(`${run.process.pid} ${run.process.pid}`);
    expect(descriptors.filter((fd) => Number(fd) > 2)).toEqual([]);
  },
);

test("spawnExecutor: signalGroup reaches the executor's children", async () => {
  using at = place();
  await using run = startScript(at, "sleep 300 & echo $!; wait");
  const child = await until("the child's pid", () => Number(run.stdout()));
  run.process.signalGroup("SIGTERM");
  expect((await run.process.exited).signal).toBe("SIGTERM");
  await until("the child to end", () => !isAlive(child));
});

test("spawnExecutor: signalGroup does nothing once the leader has ended: its pid may be reused", async () => {
  using at = place();
  await using run = startScript(at, "sleep 300 & echo $!; exit 0");
  await run.process.exited;
  const child = Number(run.stdout());
  run.process.signalGroup("SIGKILL");
  expect(isAlive(child)).toBe(true);
  killProcess(child);
  await until("the child to end", () => !isAlive(child));
});

test("spawnExecutor: a descendant that holds the output open does not delay the exit", async () => {
  using at = place();
  await using run = startScript(at, "sleep 300 & echo $!; exit 7");
  expect(await run.process.exited).toEqual({ code: 7, signal: null });
  killProcess(Number(run.stdout()));
});

test.if(isLinux)("spawnExecutor: leaks no descriptor, whether it starts or not", async () => {
  using at = place();
  const open = (): number => readdirSync("/proc/self/fd").length;
  await using warm = startScript(at, "exit 0");
  await warm.process.exited;
  const before = open();
  for (let i = 0; i < 10; i++) {
    const run = startScript(at, "exit 0");
    await run.process.exited;
    run.process.close();
    reasonOf(at, [join(at.path, "missing")]);
  }
  expect(open()).toBeLessThanOrEqual(before);
});

test("spawnExecutor: reports a project directory that is missing or not a folder", () => {
  using at = place();
  const missing = join(at.path, "gone");
  expect(reasonOf(at, ["sh"], { projectDir: missing })).toBe(`The project directory does not exist: ${missing}`);
  const file = script(at, "");
  expect(reasonOf(at, ["sh"], { projectDir: file })).toBe(`The project directory is not a folder: ${file}`);
});

test("spawnExecutor: reports a missing command or interpreter", () => {
  using at = place();
  const missing = join(at.path, "gone");
  expect(reasonOf(at, [missing])).toBe(
    `The executor could not be started: ${missing} (or the interpreter that it names) was not found`,
  );
  const path = script(at, "#!/no/such/interpreter\n");
  expect(reasonOf(at, [path])).toBe(
    `The executor could not be started: ${path} (or the interpreter that it names) was not found`,
  );
});

test("spawnExecutor: reports a command without execute permission", () => {
  using at = place();
  const path = script(at, "#!/bin/sh\n", 0o644);
  expect(reasonOf(at, [path])).toBe(`The executor could not be started: ${path} may not be executed`);
});

test("spawnExecutor: reports a file that is not a program", () => {
  using at = place();
  const path = script(at, "echo a script without its first line\n");
  expect(reasonOf(at, [path])).toBe(
    `The executor could not be started: ${path} is neither a program nor a script that begins with #!`,
  );
});

test("spawnExecutor: the output is readable even if the executor removes its folder", async () => {
  using at = place();
  await using run = startScript(at, `echo kept; rm -rf "${join(at.path, "run")}"`);
  await run.process.exited;
  expect(run.stdout()).toBe("kept");
  rmSync(join(at.path, "run"), { recursive: true, force: true });
});
