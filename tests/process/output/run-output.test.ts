import { expect, test } from "bun:test";
import { appendFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { RunOutput } from "../../../src/process/output/run-output.ts";
import { tempFolder } from "../../harness/temp-folder.ts";

function output(
  limitBytes = 0,
): { output: RunOutput; path: string; write: (text: string | Uint8Array) => void } & Disposable {
  const folder = tempFolder();
  const path = join(folder.path, "stdout");
  const output = new RunOutput(path, limitBytes);
  return {
    output,
    path,
    write: (text) => appendFileSync(path, text),
    [Symbol.dispose]() {
      output.close();
      folder[Symbol.dispose]();
    },
  };
}

test("RunOutput: creates a file that only its owner may read, and empties an existing one", () => {
  using own = output();
  own.write("old");
  const again = new RunOutput(own.path, 0);
  expect(again.size()).toBe(0);
  expect(statSync(own.path).mode & 0o777).toBe(0o600);
  again.close();
});

test("RunOutput.tail: returns a short output completely, without trailing white space", () => {
  using own = output();
  expect(own.output.tail(100)).toBe("");
  own.write("one\n  two \n\n");
  expect(own.output.tail(100)).toBe("one\n  two");
  expect(own.output.tail(12)).toBe("one\n  two");
});

test("RunOutput.tail: a long output is cut at the start of a line", () => {
  using own = output();
  own.write("first line\nsecond line\nthird\n");
  expect(own.output.tail(20)).toBe("second line\nthird");
  expect(own.output.tail(10)).toBe("third");
});

test("RunOutput.tail: returns the end of a single long line", () => {
  using own = output();
  own.write("abcdefghij");
  expect(own.output.tail(4)).toBe("ghij");
  own.write("\n");
  expect(own.output.tail(4)).toBe("hij");
});

test.each([
  ["two bytes", "ü"],
  ["three bytes", "€"],
  ["four bytes", "😀"],
])("RunOutput.tail: never starts inside a character of %s", (_, character) => {
  using own = output();
  own.write(character.repeat(20));
  for (let bytes = 8; bytes <= 16; bytes++) {
    const tail = own.output.tail(bytes);
    expect(tail).toBe(character.repeat(Math.floor(bytes / Buffer.byteLength(character))));
  }
});

test("RunOutput.tail: replaces bytes that are not UTF-8", () => {
  using own = output();
  own.write(Uint8Array.of(0x61, 0xff, 0x62));
  expect(own.output.tail(10)).toBe("a\uFFFDb");
});

test("RunOutput: is readable to its end after its file was deleted", () => {
  using own = output();
  own.write("still here\n");
  rmSync(own.path);
  expect(own.output.tail(100)).toBe("still here");
  expect(own.output.size()).toBe(11);
});

test("RunOutput.read: returns less at the end of the file, and nothing beyond it", () => {
  using own = output();
  own.write("0123456789");
  expect(own.output.read(8, 100).toString()).toBe("89");
  expect(own.output.read(50, 100)).toHaveLength(0);
});

test("RunOutput.trim: keeps an output within its limit", () => {
  using own = output(1_000);
  own.write("x".repeat(1_000));
  expect(own.output.trim()).toBe(1_000);
  expect(own.output.droppedBytes).toBe(0);
});

test.if(process.platform === "linux")(
  "RunOutput.trim: frees the disk space of the start and keeps the end, repeatedly",
  () => {
    const limit = 256 * 1024;
    using own = output(limit);
    for (let round = 1; round <= 6; round++) {
      own.write(`${"x".repeat(99)}\n`.repeat(2_000));
      own.write(`end of ${round}\n`);
      own.output.trim();
      expect(own.output.tail(200).endsWith(`end of ${round}`)).toBe(true);
      expect(own.output.tail(limit)).not.toContain("\0");
    }
    expect(own.output.size()).toBeGreaterThan(1_200_000);
    expect(own.output.size() - own.output.droppedBytes).toBeLessThanOrEqual(limit);
    expect(statSync(own.path).blocks * 512).toBeLessThanOrEqual(limit + 8_192);
  },
);

test("RunOutput.trim: 0 means no limit", () => {
  using own = output(0);
  own.write("x".repeat(100_000));
  expect(own.output.trim()).toBe(100_000);
  expect(own.output.droppedBytes).toBe(0);
});

test.if(process.platform === "linux")(
  "RunOutput: an executor that empties its own output only loses its output",
  () => {
    using own = output(64 * 1024);
    own.write("x\n".repeat(100_000));
    own.output.trim();
    expect(own.output.droppedBytes).toBeGreaterThan(0);
    truncateSync(own.path, 0);
    expect(own.output.tail(1_000)).toBe("");
    own.write("new\n");
    expect(own.output.tail(1_000)).toBe("new");
    expect(own.output.trim()).toBe(4);
  },
);
