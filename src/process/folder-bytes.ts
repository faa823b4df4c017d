import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

const BLOCK_BYTES = 512;

/** Disk space of a folder with all its contents, without holes. Entries that cannot be read, or vanish, count as 0. */
export async function folderBytes(path: string): Promise<number> {
  let bytes = await diskBytes(path);
  for (const entry of await readdir(path, { withFileTypes: true }).catch(() => [])) {
    const inside = join(path, entry.name);
    bytes += entry.isDirectory() ? await folderBytes(inside) : await diskBytes(inside);
  }
  return bytes;
}

async function diskBytes(path: string): Promise<number> {
  const stat = await lstat(path).catch(() => null);
  if (stat === null) return 0;
  // Windows reports no blocks.
  return process.platform === "win32" ? stat.size : stat.blocks * BLOCK_BYTES;
}
