import { afterEach, expect, setSystemTime, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ArchiveEntry } from "../../scripts/release/archive-entry.ts";
import { tarGz } from "../../scripts/release/tar-archive.ts";
import { zip } from "../../scripts/release/zip-archive.ts";
import { tempFolder } from "../harness/temp-folder.ts";

const MTIME_SECONDS = 1_736_935_200;
const RANDOM = crypto.getRandomValues(new Uint8Array(70_000));

afterEach(() => void setSystemTime());

function entries(): ArchiveEntry[] {
  return [
    { path: "a-1/program", content: RANDOM, isExecutable: true },
    { path: "a-1/empty", content: new Uint8Array(), isExecutable: false },
    { path: "a-1/sub/grüße.txt", content: Buffer.from("x".repeat(512)), isExecutable: false },
  ];
}

const KINDS = [
  ["tarGz", tarGz, ["tar", "-xpzf"]],
  ["zip", zip, ["unzip", "-q"]],
] as const;

for (const [name, pack, unpack] of KINDS) {
  test(`${name}: the same entries give the same bytes at any time`, () => {
    const first = pack(entries(), MTIME_SECONDS);
    setSystemTime(new Date("2040-01-01"));
    expect(Buffer.from(pack(entries(), MTIME_SECONDS)).equals(first)).toBe(true);
    expect(Buffer.from(pack(entries(), MTIME_SECONDS + 2)).equals(first)).toBe(false);
  });

  test.skipIf(Bun.which(unpack[0]) === null || process.platform === "win32")(
    `${name}: ${unpack[0]} gives back content, mode and time`,
    () => {
      using folder = tempFolder();
      const archive = join(folder.path, "archive");
      writeFileSync(archive, pack(entries(), MTIME_SECONDS));
      const done = Bun.spawnSync([...unpack, archive], {
        cwd: folder.path,
        env: { ...process.env, TZ: "UTC", LC_ALL: "C.UTF-8" },
      });
      expect({ code: done.exitCode, said: done.stderr.toString() }).toEqual({ code: 0, said: "" });
      for (const { path, content, isExecutable } of entries()) {
        const file = join(folder.path, path);
        expect(readFileSync(file).equals(content)).toBe(true);
        expect((statSync(file).mode & 0o111) !== 0).toBe(isExecutable);
        expect(statSync(file).mtimeMs).toBe(MTIME_SECONDS * 1000);
      }
    },
  );
}

test("tarGz: refuses a path that is too long for the format", () => {
  expect(() => tarGz([{ path: "x".repeat(101), content: new Uint8Array(), isExecutable: false }], 0)).toThrow(
    "too long",
  );
});
