import { describe, expect, test } from "bun:test";
import { appendFileSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readOutputPart } from "../../../src/process/output/output-part.ts";
import { RunOutput } from "../../../src/process/output/run-output.ts";
import { tempFolder } from "../../harness/temp-folder.ts";

function withFile(content: string | Uint8Array, body: (path: string) => void): void {
  using folder = tempFolder();
  const path = join(folder.path, "stdout");
  writeFileSync(path, content);
  body(path);
}
const tail = (path: string, bytes: number) => readOutputPart(path, { from: null, bytes, limitBytes: 0 });
const part = (path: string, from: number, bytes: number, limitBytes = 0, isOver = true) =>
  readOutputPart(path, { from, bytes, limitBytes, isOver });

describe("readOutputPart", () => {
  test("the end starts at a line if it contains one", () => {
    withFile("one\ntwo\nthree\n", (path) => {
      expect(tail(path, 100)).toEqual({ from: 0, to: 14, size: 14, text: "one\ntwo\nthree\n" });
      expect(tail(path, 8)).toEqual({ from: 8, to: 14, size: 14, text: "three\n" });
      expect(tail(path, 4)).toEqual({ from: 10, to: 14, size: 14, text: "ree\n" });
    });
  });

  test("consecutive parts make up the whole, wherever they are cut", () => {
    const text = "aé€😀\n".repeat(50);
    const { length } = Buffer.from(text);
    withFile(text, (path) => {
      for (const bytes of [4, 5, 7, 11, 64]) {
        let seen = "";
        for (let from = 0; from < length;) {
          const got = part(path, from, bytes);
          seen += got?.text ?? "";
          expect(got?.from).toBe(from);
          from = got?.to ?? length;
        }
        expect(seen).toBe(text);
      }
    });
  });

  test("replaces bytes that are not UTF-8, and moves on", () => {
    withFile(new Uint8Array([0x61, 0xff, 0xfe, 0x80, 0x80, 0x80, 0x80, 0x62]), (path) => {
      expect(part(path, 0, 100)?.text).toBe("a\ufffd\ufffd\ufffd\ufffd\ufffd\ufffdb");
      let at = 0;
      for (let i = 0; i < 8 && at < 8; i++) at = part(path, at, 2)?.to ?? 8;
      expect(at).toBe(8);
    });
  });

  test("leaves out an incomplete character at the end, until the output is over", () => {
    const text = "aé€😀b€";
    const whole = Buffer.from(text);
    using folder = tempFolder();
    const path = join(folder.path, "stdout");
    let seen = "";
    let at = 0;
    for (let length = 1; length <= whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length));
      const got = part(path, at, 100, 0, false);
      seen += got?.text ?? "";
      at = got?.to ?? at;
    }
    expect(seen).toBe(text);
    writeFileSync(path, whole.subarray(0, whole.length - 1));
    expect(part(path, 0, 100, 0, false)?.text).toBe("aé€😀b");
    expect(part(path, 0, 100)?.text).toBe("aé€😀b\ufffd");
  });

  test("raises a size that is too small for one character", () => {
    withFile("€uro", (path) => {
      expect(part(path, 0, 1)?.text).toBe("€u");
      expect(tail(path, 2)?.text).toBe("uro");
    });
  });

  test("shows NUL bytes that the executor wrote", () => {
    withFile("ab\0\0cd", (path) => {
      let seen = "";
      for (let at = 0; at < 6;) {
        const got = part(path, at, 4, 64 * 1024);
        seen += got?.text ?? "";
        at = got?.to ?? 6;
      }
      expect(seen).toBe("ab\0\0cd");
    });
  });

  test("returns nothing at the end, and restarts at 0 in a file that was emptied", () => {
    withFile("abc", (path) => {
      expect(part(path, 3, 10)).toEqual({ from: 3, to: 3, size: 3, text: "" });
      expect(part(path, 99, 10)).toEqual({ from: 0, to: 3, size: 3, text: "abc" });
    });
  });

  test("skips the hole that a trim left", () => {
    using folder = tempFolder();
    const path = join(folder.path, "stdout");
    const limitBytes = 64 * 1024;
    const output = new RunOutput(path, limitBytes);
    const line = `${"x".repeat(99)}\n`;
    for (let i = 0; i < 3_000; i++) appendFileSync(path, line);
    output.trim();
    const dropped = output.droppedBytes;
    output.close();
    const got = part(path, 0, 1_000, limitBytes);
    expect(dropped).toBeGreaterThan(200_000);
    expect(got?.from).toBe(dropped);
    expect(got?.text).not.toContain("\0");
    expect(got?.text.length).toBe(1_000);
  });

  test("shows nothing of a link, a folder or a missing file", () => {
    using folder = tempFolder();
    const [secret, link, below, second] = ["secret", "stdout", "folder", "second"].map((name) =>
      join(folder.path, name),
    ) as [string, string, string, string];
    writeFileSync(secret, "secret");
    symlinkSync(secret, link);
    mkdirSync(below);
    linkSync(secret, second);
    for (const path of [link, below, second, join(folder.path, "nothing")]) expect(tail(path, 10)).toBeNull();
  });

  test("shows nothing if the folder is a link", () => {
    using folder = tempFolder();
    const [real, linked] = [join(folder.path, "real"), join(folder.path, "linked")];
    mkdirSync(real);
    writeFileSync(join(real, "stdout"), "secret");
    symlinkSync(real, linked);
    expect(tail(join(real, "stdout"), 10)?.text).toBe("secret");
    expect(tail(join(linked, "stdout"), 10)).toBeNull();
  });

  test.skipIf(process.platform === "win32")("a pipe in place of the file does not block", () => {
    using folder = tempFolder();
    const path = join(folder.path, "stdout");
    expect(Bun.spawnSync(["mkfifo", path]).success).toBe(true);
    expect(tail(path, 10)).toBeNull();
  });
});
