import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { NO_STATUS, underShim } from "../../src/process/shim.ts";

/**
 * Runs `program` `count` times, `concurrency` at a time, without a coordinator, a journal or output files. Prints the
 * milliseconds, and keeps running. With a `shimFolder` each process runs under the runner's shim.
 */
export async function spawnLoop(
  count: number,
  concurrency: number,
  program: string,
  shimFolder: string,
): Promise<void> {
  const startMs = performance.now();
  let started = 0;
  const lane = async (): Promise<void> => {
    while (started < count) {
      const folder = join(shimFolder, String(started++));
      await spawn(shimFolder === "" ? [program] : shimmed(program, folder)).exited;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
  process.stdout.write(`took ${performance.now() - startMs}\n`);
  // Keeps the process alive, so that its CPU time can be read.
  setInterval(() => {}, 60_000);
}

/** On SIGUSR1, starts `command` `count` times and prints "started". Runs until a child exits. */
export async function spawnSleepers(count: number, command: readonly string[]): Promise<void> {
  const signalled = new Promise<void>((resolve) => process.once("SIGUSR1", () => resolve()));
  setInterval(() => {}, 60_000);
  process.stdout.write("ready\n");
  await signalled;
  const children = Array.from({ length: count }, () => spawn(command));
  process.stdout.write("started\n");
  await Promise.race(children.map((child) => child.exited));
}

function spawn(command: readonly string[]): Bun.Subprocess<"ignore", "ignore", "ignore"> {
  return Bun.spawn([...command], { stdin: "ignore", stdout: "ignore", stderr: "ignore", detached: true });
}

function shimmed(program: string, folder: string): string[] {
  mkdirSync(folder);
  const status = join(folder, "exit");
  writeFileSync(status, NO_STATUS);
  return underShim([program], status, join(folder, "begun.0"), null);
}
