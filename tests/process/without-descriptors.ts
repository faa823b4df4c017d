import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { adoptExecutor, bootId, lives } from "../../src/process/adopt.ts";
import { inspectFile } from "../../src/process/inspect-file.ts";
import { processStartTime, readProcessTable } from "../../src/process/process-table.ts";

/* Started by tests with few descriptors allowed: takes all of them, and prints as JSON what the parts that look at processes make of that. */

const folder = mkdtempSync(join(tmpdir(), "agent-runner-descriptors-"));
const child = Bun.spawn(["sleep", "60"], { stdin: "ignore", stdout: "ignore", stderr: "ignore", detached: true });
const identity = { pid: child.pid, startedAt: processStartTime(child.pid) ?? "", bootId: bootId() };
const adopted = adoptExecutor(identity, folder, 0);
let hasEnded = false;
void adopted.exited.then(() => (hasEnded = true));

const taken: number[] = [];
try {
  for (;;) taken.push(openSync("/dev/null", "r"));
} catch {
  // That was the last one.
}
const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;
const thrown = (look: () => unknown): unknown => {
  try {
    return `no error but ${String(look())}`;
  } catch (error) {
    return codeOf(error);
  }
};
const found = {
  processStartTime: thrown(() => processStartTime(child.pid)),
  lives: thrown(() => lives(identity)),
  inspectFile: thrown(() => inspectFile("/bin/sh").kind),
  readProcessTable: await readProcessTable().then(() => "no error", codeOf),
};
// Two of its looks and more.
await Bun.sleep(700);
const adoptedHasEnded = hasEnded;
for (const descriptor of taken) closeSync(descriptor);
adopted.signalGroup("SIGKILL");
await adopted.exited;
rmSync(folder, { recursive: true });
console.log(JSON.stringify({ ...found, adoptedHasEnded }));
