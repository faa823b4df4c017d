import { expect, test } from "bun:test";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import {
  ageMsOf,
  parsePsTable,
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
  await until("the script to begin", () => run.process.stdout.size() > 0);
  const entry = await entryOf(run.process.pid);
  expect(entry).toMatchObject({
    ppid: process.pid,
    group: run.process.pid,
    runId: "run_table",
    startedAt: run.process.startedAt,
  });
  expect(entry.session).toBe(isLinux ? run.process.pid : null);
});

test.if(isLinux)("readProcessTable: a name with spaces and parentheses misleads it in nothing", async () => {
  using at = place();
  const path = join(at.path, "a) Z 1 (b");
  copyFileSync("/bin/sleep", path);
  await using run = started(at.request([path, "300"], { env: { [RUN_MARKER]: "run_odd" } }));
  // In the moment of its start a process has no environment yet.
  await until("its mark", async () => (await entryOf(run.process.pid)).runId === "run_odd");
  expect(await entryOf(run.process.pid)).toMatchObject({ ppid: process.pid, group: run.process.pid });
});

test.if(isLinux)("readProcessTable: a variable that only ends like the marker is none", async () => {
  using at = place();
  await using run = started(
    at.request(["sleep", "300"], {
      env: { PATH: process.env["PATH"] ?? "", [`X${RUN_MARKER}`]: "run_x", A: `${RUN_MARKER}=run_y` },
    }),
  );
  await until("the program to begin", async () => (await entryOf(run.process.pid)).runId === null);
  const env = { PATH: process.env["PATH"] ?? "", [`X${RUN_MARKER}`]: "run_x", [RUN_MARKER]: "run_z" };
  await using other = started(at.request(["sleep", "300"], { env }));
  // In the moment of its start a process has no environment yet.
  await until("its mark", async () => (await entryOf(other.process.pid)).runId === "run_z");
});

test("readProcessTable: a zombie is not alive", async () => {
  using at = place();
  // The child is not waited for by the program that took its parent's place.
  await using run = startScript(at, "sh -c 'exit 0' & echo $!; exec sleep 300");
  const zombie = await until("the child's pid", () => Number(run.stdout()));
  await until("the child to end", () => !isAlive(zombie));
  expect((await readProcessTable()).some((entry) => entry.pid === zombie)).toBe(false);
  expect(processStartTime(zombie)).toBeNull();
});

test("signalProcess: signals the process that was seen, and not another that has its number now", async () => {
  using at = place();
  // The executor and not its shim, whose end would leave it behind.
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

test("parsePsTable: reads ids, start and marker; leaves out zombies and what is no row", () => {
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
  "without descriptors a process that cannot be looked at does not pass for one that is gone",
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

test.if(process.platform === "linux")("ageMsOf: by the starts of both processes, never less than nothing", () => {
  const own = Number(processStartTime(process.pid));
  const beforeMs = process.uptime() * 1000;
  const ages = [own, own - 1, 0, own + 360_000].map((ticks) => ageMsOf(String(ticks)));
  const afterMs = process.uptime() * 1000;
  for (const [i, soonerMs] of [0, 10, own * 10].entries()) {
    expect(ages[i]).toBeGreaterThanOrEqual(soonerMs + beforeMs);
    expect(ages[i]).toBeLessThanOrEqual(soonerMs + afterMs);
  }
  expect([ages[3], ageMsOf(""), ageMsOf("no date")]).toEqual([0, 0, 0]);
});
