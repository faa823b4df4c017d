import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { NO_STATUS, underShim } from "../../src/process/shim.ts";

/**
 * Runs `program` so many times, `atOnce` at a time, and prints how many milliseconds that took, and stays: no coordinator, no journal, no output
 * files. With a `shimFolder` each is under the shim that the runner puts its executors under.
 */
export async function spawnLoop(count: number, atOnce: number, program: string, shimFolder: string): Promise<void> {
  const begunMs = performance.now();
  let started = 0;
  const lane = async (): Promise<void> => {
    while (started < count) {
      const folder = join(shimFolder, String(started++));
      await spawn(shimFolder === "" ? [program] : shimmed(program, folder)).exited;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  process.stdout.write(`took ${performance.now() - begunMs}\n`);
  // Stays, so that its CPU time can be read.
  setInterval(() => {}, 60_000);
}

/** When told to (SIGUSR1), starts `command` so many times, says so, and stays until it is ended. */
export async function spawnSleepers(count: number, command: readonly string[]): Promise<void> {
  const told = new Promise<void>((resolve) => process.once("SIGUSR1", () => resolve()));
  setInterval(() => {}, 60_000);
  process.stdout.write("ready\n");
  await told;
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
