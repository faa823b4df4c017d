import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { adoptExecutor, bootId, lives } from "../../src/process/adopt.ts";
import { inspectFile } from "../../src/process/inspect-file.ts";
import { processStartTime, readProcessTable } from "../../src/process/process-table.ts";

/*
 * Started by a test with a low descriptor limit. Opens every descriptor, then prints as JSON how the functions that
 * read processes react.
 */

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
  // No descriptor is left.
}
const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;
const thrown = (read: () => unknown): unknown => {
  try {
    return `no error but ${String(read())}`;
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
// More than two checks of the adopted executor.
await Bun.sleep(700);
const adoptedHasEnded = hasEnded;
for (const descriptor of taken) closeSync(descriptor);
adopted.signalGroup("SIGKILL");
await adopted.exited;
rmSync(folder, { recursive: true });
console.log(JSON.stringify({ ...found, adoptedHasEnded }));
