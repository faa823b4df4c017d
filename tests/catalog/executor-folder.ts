import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { CatalogOptions } from "../../src/catalog/executor.ts";

/** Writes a file, with its folders, and returns its path. */
export function place(
  folder: string,
  file: string,
  text: string | Uint8Array = "#!/bin/sh\necho hello\n",
  mode = 0o755,
): string {
  const path = join(folder, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

export function optionsFor(folder: string, more: Partial<CatalogOptions> = {}): CatalogOptions {
  return {
    folders: [join(folder, "executors")],
    binaryFolder: folder,
    env: { PATH: process.env["PATH"] },
    // Hides a Claude Code of this machine.
    executorConfigs: { "claude-code": { path: join(folder, "no-claude") } },
    selfCommand: [process.execPath, "main.ts"],
    stateDir: join(folder, "state"),
    trustedFolders: [],
    ...more,
  };
}
