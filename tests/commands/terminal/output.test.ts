import { expect, test } from "bun:test";
import { openSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { tempFolder } from "../../harness/temp-folder.ts";

const LINES = 3_000;
const OUTPUT = resolve(import.meta.dir, "../../../src/commands/terminal/output.ts");
/** Writes N lines, reports a full disk on stderr, and exits as main does. */
const PROGRAM = `
  const { Output } = await import(${JSON.stringify(OUTPUT)});
  const [stdout, stderr] = [new Output(1, () => Bun.stdout.writer()), new Output(2, () => Bun.stderr.writer())];
  for (let line = 0; line < Number(process.argv.at(-1)); line++) stdout.write(line + " " + "x".repeat(1000) + "\\n");
  await stdout.end();
  stderr.write("full: " + stdout.isDiskFull);
  await stderr.end();
  process.exit(0);
`;

function start(stdout: "pipe" | number, lines = LINES): Bun.Subprocess<"ignore", "pipe" | number, "pipe"> {
  return Bun.spawn([process.execPath, "-e", PROGRAM, String(lines)], { stdin: "ignore", stdout, stderr: "pipe" });
}

async function ended(
  child: Bun.Subprocess<"ignore", "pipe" | number, "pipe">,
): Promise<{ code: number; stderr: string }> {
  const [code, stderr] = await Promise.all([child.exited, new Response(child.stderr).text()]);
  return { code, stderr };
}

function numbersIn(text: string): number[] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => Number.parseInt(line, 10));
}

const IN_ORDER = Array.from({ length: LINES }, (_, line) => line);

test("Output: text beyond the buffer of a pipe arrives whole and in order before the exit", async () => {
  const child = start("pipe");
  const text = await new Response(child.stdout as ReadableStream).text();
  expect(numbersIn(text)).toEqual(IN_ORDER);
  expect(await ended(child)).toEqual({ code: 0, stderr: "full: false" });
});

test("Output: appends to a file that is opened for appending", async () => {
  using folder = tempFolder();
  const file = join(folder.path, "out");
  for (const _ of [1, 2]) expect((await ended(start(openSync(file, "a")))).code).toBe(0);
  expect(numbersIn(readFileSync(file, "utf8"))).toEqual([...IN_ORDER, ...IN_ORDER]);
});

test("Output: a reader that closes the pipe does not end the program", async () => {
  const child = start("pipe");
  const reader = (child.stdout as ReadableStream<Uint8Array>).getReader();
  await reader.read();
  await reader.cancel();
  expect(await ended(child)).toEqual({ code: 0, stderr: "full: false" });
});

test.skipIf(process.platform !== "linux")("Output: a full disk is noted", async () => {
  expect(await ended(start(openSync("/dev/full", "w"), 1))).toEqual({ code: 0, stderr: "full: true" });
});
