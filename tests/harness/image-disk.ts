import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endIfAbandoned } from "./abandon.ts";

const SIZE_BYTES = 64 * 1024 * 1024;
const COPY_MS = 60_000;

/** A disk whose content is a file: what the file has is what a power cut would leave. */
export interface ImageDisk extends Disposable {
  readonly path: string;
  /** A disk with a copy of the content. Copies until two copies are equal: one that changes meanwhile is torn. */
  cut(): ImageDisk;
}

function create(): ImageDisk {
  const folder = mkdtempSync(join(tmpdir(), "agent-runner-image-"));
  const image = join(folder, "image");
  writeFileSync(image, "");
  truncateSync(image, SIZE_BYTES);
  command(["mkfs.ext4", "-q", image]);
  return mount(folder, image);
}

function mount(folder: string, image: string): ImageDisk {
  const path = join(folder, "mounted");
  command(["mkdir", path]);
  try {
    command(["mount", "-o", "loop", image, path]);
  } catch (error) {
    rmSync(folder, { recursive: true });
    throw error;
  }
  const unmount = (): void => {
    // Unmounts lazily, so that an open file does not fail the unmount.
    Bun.spawnSync(["umount", "-l", path], { stdout: "ignore", stderr: "ignore" });
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  const abandoned = endIfAbandoned(unmount);
  return {
    path,
    cut() {
      const copyFolder = mkdtempSync(join(tmpdir(), "agent-runner-image-"));
      const copy = join(copyFolder, "image");
      const end = performance.now() + COPY_MS;
      for (;;) {
        copyFileSync(image, copy);
        if (readFileSync(image).equals(readFileSync(copy))) break;
        if (performance.now() < end) continue;
        rmSync(copyFolder, { recursive: true });
        throw new Error("the image changes all the time");
      }
      return mount(copyFolder, copy);
    },
    [Symbol.dispose]() {
      abandoned[Symbol.dispose]();
      unmount();
    },
  };
}

function command(words: readonly string[]): void {
  const { success, stderr } = Bun.spawnSync([...words], { stdout: "ignore", stderr: "pipe" });
  if (!success) throw new Error(`${words.join(" ")}: ${stderr.toString().trim()}`);
}

function canMount(): boolean {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  try {
    create()[Symbol.dispose]();
    return true;
  } catch {
    return false;
  }
}

/** Mounts an ext4 file system from a file. Only root on Linux can, and not in every container. */
export const imageDisk = { isPossible: canMount, create };
