import { expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { delay } from "../../src/async/delay.ts";
import { runStep } from "../../scripts/gate-step.ts";
import { endLeftovers, GATE_MARKER } from "../../scripts/step-leftovers.ts";
import { isAlive, processesWith } from "../harness/processes.ts";
import { tempFolder } from "../harness/temp-folder.ts";

const isLinux = process.platform === "linux";

test.skipIf(!isLinux)("endLeftovers ends and names each process with the mark, also in another session", async () => {
  const mark = randomUUID();
  const shell = Bun.spawn(["sh", "-c", "setsid sleep 1000 & exec sleep 1001"], {
    env: { ...process.env, [GATE_MARKER]: mark },
  });
  const other = Bun.spawn(["sleep", "1002"]);
  try {
    while (processesWith(GATE_MARKER, mark).length < 2) await delay(1);
    expect((await endLeftovers(mark, 0)).toSorted()).toEqual([
      expect.stringContaining("1000"),
      expect.stringContaining("1001"),
    ]);
    expect(await shell.exited).toBe(137);
    expect(processesWith(GATE_MARKER, mark)).toEqual([]);
    expect(isAlive(other.pid)).toBe(true);
  } finally {
    shell.kill("SIGKILL");
    other.kill("SIGKILL");
    await other.exited;
  }
});

test.skipIf(!isLinux)("a step with leftovers has failed, whatever its exit code", async () => {
  using folder = tempFolder();
  const env = { PATH: process.env.PATH ?? "", [GATE_MARKER]: folder.path };
  // Waits for the leftover's start: during an exec a process shows no environment.
  const leaves = 'mkfifo there never; setsid sh -c "echo >there; read x <never" & read x <there';
  const step = { name: "leaves", command: ["sh", "-c", leaves], cwd: folder.path, env, deadlineMs: 10_000 };
  expect(await runStep({ ...step, graceMs: 0 }, folder.path, new AbortController().signal)).toEqual({
    passed: 0,
    failed: 1,
  });
  expect(processesWith(GATE_MARKER, folder.path)).toEqual([]);
});
