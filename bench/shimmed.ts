import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { NO_STATUS, underShim } from "../src/process/shim.ts";
import type { Scene } from "./scene.ts";

let count = 0;

/** Returns a function that creates a command to run `program` under the runner's shim, each time with new files. */
export function shimmedCommand(scene: Scene, program: string): () => string[] {
  return () => {
    const folder = scene.path(`shim.${count++}`);
    mkdirSync(folder);
    const status = join(folder, "exit");
    writeFileSync(status, NO_STATUS);
    return underShim([program], status, join(folder, "begun.0"), null);
  };
}
