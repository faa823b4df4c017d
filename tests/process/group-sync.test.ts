import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Flush, GroupSync } from "../../src/process/group-sync.ts";
import { tempFolder } from "../harness/temp-folder.ts";

/** Flushes that end when the test says so. */
function heldFlushes(): { begun: number; end(error?: Error | null): void; toDisk: Flush } {
  const waiting: ((error: NodeJS.ErrnoException | null) => void)[] = [];
  const held = {
    begun: 0,
    end: (error: Error | null = null) => waiting.shift()?.(error),
    toDisk: ((_fd, done) => {
      held.begun++;
      waiting.push(done);
    }) satisfies Flush,
  };
  return held;
}

function file(folder: string): string {
  const path = join(folder, "file");
  writeFileSync(path, "");
  return path;
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol();
  // Enough turns of the microtask queue for a chain of promises.
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  return (await Promise.race([promise.catch(() => null), Promise.resolve(pending)])) !== pending;
}

describe("GroupSync", () => {
  test("flushes nothing where nothing was written", async () => {
    using folder = tempFolder();
    const held = heldFlushes();
    using sync = new GroupSync(file(folder.path), held.toDisk);
    await sync.synced();
    expect(held.begun).toBe(0);
  });

  test("one flush serves all who wrote before it began", async () => {
    using folder = tempFolder();
    const held = heldFlushes();
    using sync = new GroupSync(file(folder.path), held.toDisk);
    sync.written();
    const waits = [sync.synced(), sync.synced()];
    expect(held.begun).toBe(1);
    held.end();
    await Promise.all(waits);
  });

  test("a write during a flush waits for the next one, which serves all that came meanwhile", async () => {
    using folder = tempFolder();
    const held = heldFlushes();
    using sync = new GroupSync(file(folder.path), held.toDisk);
    sync.written();
    const first = sync.synced();
    sync.written();
    const second = sync.synced();
    sync.written();
    const third = sync.synced();
    held.end();
    await first;
    expect(await isSettled(second)).toBe(false);
    expect(held.begun).toBe(2);
    held.end();
    await Promise.all([second, third]);
    expect(held.begun).toBe(2);
  });

  test("a flush that fails rejects, and the next one stores its writes", async () => {
    using folder = tempFolder();
    const held = heldFlushes();
    using sync = new GroupSync(file(folder.path), held.toDisk);
    sync.written();
    const failed = sync.synced();
    held.end(new Error("no space left"));
    await expect(failed).rejects.toThrow("no space left");
    const again = sync.synced();
    expect(held.begun).toBe(2);
    held.end();
    await again;
  });

  test("a write that nobody waits for is flushed with the next", async () => {
    using folder = tempFolder();
    const held = heldFlushes();
    using sync = new GroupSync(file(folder.path), held.toDisk);
    sync.written();
    const wait = sync.synced();
    held.end();
    await wait;
    sync.written();
    expect(held.begun).toBe(1);
    const later = sync.synced();
    expect(held.begun).toBe(2);
    held.end();
    await later;
  });

  test("flushes a real file, and may be closed during it", async () => {
    using folder = tempFolder();
    const path = file(folder.path);
    const sync = new GroupSync(path);
    writeFileSync(path, "text");
    sync.written();
    const wait = sync.synced();
    sync[Symbol.dispose]();
    await wait;
    await sync.synced();
  });
});
