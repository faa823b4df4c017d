import { afterEach, expect, jest, test } from "bun:test";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { OutputWatch } from "../../../src/process/output/output-watch.ts";
import { RunOutput } from "../../../src/process/output/run-output.ts";
import { tempFolder } from "../../harness/temp-folder.ts";
import { until } from "../../harness/until.ts";

function watched(
  limitBytes = 0,
): { lines: string[]; write: (text: string | Uint8Array) => void; end: () => void; output: RunOutput } & Disposable {
  const folder = tempFolder();
  const path = join(folder.path, "stdout");
  const output = new RunOutput(path, limitBytes);
  const lines: string[] = [];
  const end = new OutputWatch().watch(output, (line) => lines.push(line));
  return {
    lines,
    output,
    end,
    write: (text) => appendFileSync(path, text),
    [Symbol.dispose]() {
      end();
      output.close();
      folder[Symbol.dispose]();
    },
  };
}

afterEach(() => {
  jest.useRealTimers();
});

test("OutputWatch: passes on lines while they are written, and an incomplete line once it is complete", async () => {
  using run = watched();
  run.write("one\ntw");
  await until("the first line", () => run.lines.length > 0);
  expect(run.lines).toEqual(["one"]);
  run.write("o\n\nthree");
  await until("the lines after it", () => run.lines.length >= 3);
  expect(run.lines).toEqual(["one", "two", ""]);
});

test("OutputWatch: the end passes on the rest once, including a last line without a newline", () => {
  using run = watched();
  run.write("one\nlast");
  run.end();
  run.end();
  expect(run.lines).toEqual(["one", "last"]);
});

test("OutputWatch: passes on nothing after the end", () => {
  using run = watched();
  run.write("one\n");
  run.end();
  run.write("two\n");
  expect(run.lines).toEqual(["one"]);
});

test("OutputWatch: a character written in two halves stays whole", async () => {
  using run = watched();
  const [first, ...rest] = Buffer.from("ü");
  run.write(Uint8Array.of(0x0a, first ?? 0));
  await until("the line before the first half", () => run.lines.length > 0);
  run.write(Uint8Array.from([...rest, 0x0a]));
  await until("the second half", () => run.lines.length > 1);
  expect(run.lines).toEqual(["", "ü"]);
});

test("OutputWatch: shows the end of a flood, and says how much it skipped", () => {
  using run = watched();
  run.write(`${"x".repeat(99)}\n`.repeat(50_000));
  run.write("the end\n");
  run.end();
  expect(run.lines[0]).toBe(`[... ${5_000_008 - 256 * 1024} bytes of output not shown ...]`);
  expect(run.lines.at(-1)).toBe("the end");
  expect(run.lines.length).toBeLessThan(3_000);
});

test.if(process.platform === "linux")(
  "OutputWatch: trims the output to its limit, and shows nothing of the hole",
  () => {
    using run = watched(64 * 1024);
    run.write(`${"x".repeat(99)}\n`.repeat(2_000));
    run.write("the end\n");
    run.end();
    expect(run.output.droppedBytes).toBeGreaterThan(100_000);
    expect(run.lines.some((line) => line.includes("\0"))).toBe(false);
    expect(run.lines[0]).toBe(`[... ${run.output.droppedBytes} bytes of output not shown ...]`);
    expect(run.lines.at(-1)).toBe("the end");
  },
);

test("OutputWatch: trims an output without a reader of lines", async () => {
  using folder = tempFolder();
  const path = join(folder.path, "stdout");
  const output = new RunOutput(path, 64 * 1024);
  const end = new OutputWatch().watch(output);
  appendFileSync(path, "x\n".repeat(100_000));
  await until("the trim", () => output.droppedBytes > 0 || output.size() < 200_000);
  end();
  output.close();
});

test("OutputWatch: checks a quiet output less and less often, and a growing one often again", () => {
  jest.useFakeTimers();
  using run = watched();
  let checks = 0;
  const trim = run.output.trim.bind(run.output);
  run.output.trim = () => (checks++, trim());
  jest.advanceTimersByTime(10_000);
  expect(checks).toBeGreaterThan(8);
  expect(checks).toBeLessThan(25);
  const checksWhileGrowing = (): number => {
    checks = 0;
    for (let i = 0; i < 20; i++) {
      run.write("x\n");
      jest.advanceTimersByTime(50);
    }
    return checks;
  };
  expect(checksWhileGrowing()).toBeGreaterThan(2);
  expect(checksWhileGrowing()).toBe(20);
});

test("OutputWatch: one timer for all outputs, and none without outputs", () => {
  const timers = new Set<unknown>();
  const { setInterval: set, clearInterval: clear } = globalThis;
  globalThis.setInterval = ((...args: Parameters<typeof set>) => {
    const timer = set(...args);
    timers.add(timer);
    return timer;
  }) as typeof set;
  globalThis.clearInterval = ((timer: Timer) => (timers.delete(timer), clear(timer))) as typeof clear;
  try {
    using folder = tempFolder();
    const watch = new OutputWatch();
    const outputs = ["a", "b"].map((name) => new RunOutput(join(folder.path, name), 0));
    const ends = outputs.map((output) => watch.watch(output));
    expect(timers.size).toBe(1);
    for (const end of ends) end();
    expect(timers.size).toBe(0);
    for (const output of outputs) output.close();
  } finally {
    globalThis.setInterval = set;
    globalThis.clearInterval = clear;
  }
});
