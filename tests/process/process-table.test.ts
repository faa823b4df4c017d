import { expect, test } from "bun:test";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import {
  ageMsOf,
  byStart,
  parsePsTable,
  PS_ENVIRONMENT,
  type ProcessEntry,
  processStartTime,
  readProcessTable,
  RUN_MARKER,
  signalProcess,
} from "../../src/process/process-table.ts";
import { isAlive } from "../harness/processes.ts";
import { until } from "../harness/until.ts";
import { place, started, startScript } from "./started-process.ts";

const isLinux = process.platform === "linux";

async function entryOf(pid: number): Promise<ProcessEntry> {
  return until(`process ${pid} in the table`, async () =>
    (await readProcessTable()).find((entry) => entry.pid === pid),
  );
}

test("readProcessTable: finds a process with parent, group, session and marker", async () => {
  using at = place();
  await using run = startScript(at, "echo; sleep 300", { runId: "run_table" });
  await until("the script to start", () => run.process.stdout.size() > 0);
  const entry = await entryOf(run.process.pid);
  expect(entry).toMatchObject({
    ppid: process.pid,
    group: run.process.pid,
    runId: "run_table",
    startedAt: run.process.startedAt,
  });
  expect(entry.session).toBe(isLinux ? run.process.pid : null);
});

test.if(isLinux)("readProcessTable: parses a command name with spaces and parentheses", async () => {
  using at = place();
  const path = join(at.path, "a) Z 1 (b");
  copyFileSync("/bin/sleep", path);
  await using run = started(at.request([path, "300"], { env: { [RUN_MARKER]: "run_odd" } }));
  // At the moment of its start a process has no environment yet.
  await until("its marker", async () => (await entryOf(run.process.pid)).runId === "run_odd");
  expect(await entryOf(run.process.pid)).toMatchObject({ ppid: process.pid, group: run.process.pid });
});

test.if(isLinux)("readProcessTable: ignores a variable whose name merely ends like the marker's", async () => {
  using at = place();
  using otherPlace = place();
  const likeIt = { PATH: process.env["PATH"] ?? "", [`X${RUN_MARKER}`]: "run_x" };
  const script = ["sh", "-c", "echo; exec sleep 300"];
  await using run = started(at.request(script, { env: { ...likeIt, A: `${RUN_MARKER}=run_y` } }));
  await until("the script to start", () => run.process.stdout.size() > 0);
  expect((await entryOf(run.process.pid)).runId).toBeNull();
  await using other = started(otherPlace.request(["sleep", "300"], { env: { ...likeIt, [RUN_MARKER]: "run_z" } }));
  // At the moment of its start a process has no environment yet.
  await until("its marker", async () => (await entryOf(other.process.pid)).runId === "run_z");
});

test("readProcessTable: a zombie is not alive", async () => {
  using at = place();
  // `sleep` replaces the parent and never waits for the child.
  await using run = startScript(at, "sh -c 'exit 0' & echo $!; exec sleep 300");
  const zombie = await until("the child's pid", () => Number(run.stdout()));
  await until("the child to end", () => !isAlive(zombie));
  expect((await readProcessTable()).some((entry) => entry.pid === zombie)).toBe(false);
  expect(processStartTime(zombie)).toBeNull();
});

test("signalProcess: signals the process in the entry, and not a later one with its pid", async () => {
  using at = place();
  // Signals the executor, not its shim: killing the shim would leave the executor alive.
  await using run = startScript(at, "echo $$; exec sleep 300");
  const entry = await entryOf(await until("the executor's pid", () => Number(run.stdout())));
  expect(signalProcess({ ...entry, startedAt: "1" }, "SIGKILL")).toBe(false);
  expect(isAlive(entry.pid)).toBe(true);
  expect(signalProcess(entry, "SIGKILL")).toBe(true);
  expect((await run.process.exited).signal).toBe("SIGKILL");
  expect(signalProcess(entry, "SIGKILL")).toBe(false);
});

test("signalProcess: never signals this program", async () => {
  let received = false;
  const note = (): void => void (received = true);
  process.on("SIGTERM", note);
  try {
    expect(signalProcess(await entryOf(process.pid), "SIGTERM")).toBe(false);
    await new Promise((resolve) => setImmediate(resolve));
    expect(received).toBe(false);
  } finally {
    process.off("SIGTERM", note);
  }
});

const PS = `
    1     0     1 Ss   Mon Sep  1 08:00:00 2025 /sbin/launchd
  501     1   501 S    Mon Sep  1 08:00:01 2025 /bin/sh -c x PATH=/bin ${RUN_MARKER}=run_1 HOME=/h
  502   501   501 S+   Tue Sep 30 23:59:59 2025 ${RUN_MARKER}=run_2
  503   501   501 Z    Tue Sep 30 23:59:59 2025 (sh)
  504   501   504 R    Tue Sep 30 23:59:59 2025 prog X${RUN_MARKER}=run_3
  505   501   504 R    Tue Sep 30 23:59:59 2025
garbage
`;

test("parsePsTable: reads ids, start and marker; skips zombies and malformed rows", () => {
  const row = (pid: number, ppid: number, group: number, startedAt: string, runId: string | null) => ({
    pid,
    ppid,
    group,
    session: null,
    startedAt,
    runId,
  });
  expect(parsePsTable(PS)).toEqual([
    row(1, 0, 1, "Mon Sep  1 08:00:00 2025", null),
    row(501, 1, 501, "Mon Sep  1 08:00:01 2025", "run_1"),
    row(502, 501, 501, "Tue Sep 30 23:59:59 2025", "run_2"),
    row(504, 501, 504, "Tue Sep 30 23:59:59 2025", null),
    row(505, 501, 504, "Tue Sep 30 23:59:59 2025", null),
  ]);
});

test.if(process.platform === "linux")(
  "without descriptors, a process that cannot be read does not count as gone",
  async () => {
    const child = Bun.spawn(
      [
        "/bin/sh",
        "-c",
        'ulimit -n 48; exec "$@"',
        "sh",
        process.execPath,
        join(import.meta.dir, "without-descriptors.ts"),
      ],
      {
        stdin: "ignore",
        stdout: "pipe",
        stderr: "inherit",
      },
    );
    expect(await new Response(child.stdout).json()).toEqual({
      processStartTime: "EMFILE",
      lives: "EMFILE",
      inspectFile: "EMFILE",
      readProcessTable: "EMFILE",
      adoptedHasEnded: false,
    });
    expect(await child.exited).toBe(0);
  },
);

test.if(process.platform === "linux")("ageMsOf: compares both start times, and is never negative", () => {
  const own = Number(processStartTime(process.pid));
  const beforeMs = process.uptime() * 1000;
  const ages = [own, own - 1, 0, own + 360_000].map((ticks) => ageMsOf(String(ticks)));
  const afterMs = process.uptime() * 1000;
  for (const [i, earlierMs] of [0, 10, own * 10].entries()) {
    expect(ages[i]).toBeGreaterThanOrEqual(earlierMs + beforeMs);
    expect(ages[i]).toBeLessThanOrEqual(earlierMs + afterMs);
  }
  expect([ages[3], ageMsOf(""), ageMsOf("no date")]).toEqual([0, 0, 0]);
});

test.if(process.platform !== "win32")("PS_ENVIRONMENT: ps prints the start in English and in UTC", () => {
  const { stdout } = Bun.spawnSync(["/bin/ps", "-o", "lstart=", "-p", String(process.pid)], { env: PS_ENVIRONMENT });
  const at = Date.parse(`${stdout.toString().trim()} UTC`);
  // `ps` rounds, and reckons with the time of the boot.
  expect(Math.abs(Date.now() - process.uptime() * 1000 - at)).toBeLessThan(60_000);
});

test("byStart: orders by the instant, also over a change to summer time and a change of year", () => {
  const entry = (pid: number, startedAt: string): ProcessEntry => ({
    pid,
    ppid: 1,
    group: pid,
    session: null,
    startedAt,
    runId: null,
  });
  const sorted = [
    entry(1, "Thu Jan  1 00:00:00 2026"),
    entry(2, "Sun Mar 30 02:30:00 2025"),
    entry(3, "Sun Mar 30 03:10:00 2025"),
    entry(4, "Wed Dec 31 23:59:59 2025"),
  ].sort(byStart);
  expect(sorted.map(({ pid }) => pid)).toEqual([2, 3, 4, 1]);
});
