import { expect, setSystemTime, test } from "bun:test";
import { createLog, type Log, type LogOptions } from "../src/log.ts";

function recorded(options: Partial<LogOptions> = {}): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  return { log: createLog("agent-runner", { format: "text", verbose: false, write, ...options }), lines };
}

test("createLog: lines have the documented form", () => {
  const { log, lines } = recorded();
  log.info("Connecting to Agent Coordinator at http://localhost:8765");
  log.info("Registered as lnch_abc123");
  log.info("Runner started - waiting for runs");
  log.scope("poller").info("Received run run_xyz789 (start_session)");
  log.scope("executor").info("Starting session my-agent with agent researcher");
  expect(lines.map((line) => line.replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d /, "<time> "))).toEqual([
    "<time> [INFO] agent-runner: Connecting to Agent Coordinator at http://localhost:8765\n",
    "<time> [INFO] agent-runner: Registered as lnch_abc123\n",
    "<time> [INFO] agent-runner: Runner started - waiting for runs\n",
    "<time> [INFO] poller: Received run run_xyz789 (start_session)\n",
    "<time> [INFO] executor: Starting session my-agent with agent researcher\n",
  ]);
});

const endsOf = (lines: readonly string[]): string[] =>
  lines.map((line) => line.slice("2025-01-15 10:00:05 ".length, -1));

test("createLog: the levels' names; debug only when verbose", () => {
  const levels = (log: Log): void => {
    log.debug("d");
    log.info("i");
    log.warn("w");
    log.error("e");
  };
  const quiet = recorded();
  levels(quiet.log);
  expect(endsOf(quiet.lines)).toEqual([
    "[INFO] agent-runner: i",
    "[WARNING] agent-runner: w",
    "[ERROR] agent-runner: e",
  ]);
  const verbose = recorded({ verbose: true });
  levels(verbose.log);
  expect(endsOf(verbose.lines)[0]).toBe("[DEBUG] agent-runner: d");
});

test("createLog: a line carries the ids and values that its message does not name", () => {
  const { log, lines } = recorded();
  log.info("Received run run_1", { run: "run_1", session: "ses_1" });
  log.info("Ended", { run: "run_1", session: "ses_1", pid: 5, gone: undefined });
  log.info("Run run_1 of ses_1", { run: "run_1", session: "ses_1" });
  expect(endsOf(lines)).toEqual([
    "[INFO] agent-runner: Received run run_1 [ses_1]",
    "[INFO] agent-runner: Ended [run_1 ses_1 pid=5]",
    "[INFO] agent-runner: Run run_1 of ses_1",
  ]);
});

test("createLog: repeated messages are lines of their own", () => {
  const { log, lines } = recorded();
  for (let i = 0; i < 20; i++) log.info("again");
  expect(lines).toHaveLength(20);
});

test("createLog: text from outside can neither forge a line nor control a terminal", () => {
  const { log, lines } = recorded();
  log.info("one\n2025-01-15 10:00:00 [INFO] poller: forged\r\nthree\x1b[31mred\x07\ttab\n");
  expect(endsOf(lines)).toEqual([
    "[INFO] agent-runner: one\\n2025-01-15 10:00:00 [INFO] poller: forged\\nthree?[31mred?\ttab",
  ]);
});

test("createLog: JSON has one object per line, with ids and values as fields", () => {
  setSystemTime(new Date("2025-01-15T10:00:05.123Z"));
  const { log, lines } = recorded({ format: "json" });
  log.scope("supervisor").warn("two\nlines", { run: "run_1", session: "ses_1", pid: 5 });
  log.info("plain");
  setSystemTime();
  expect(lines.map((line) => (expect(line.endsWith("}\n")).toBe(true), JSON.parse(line) as unknown))).toEqual([
    {
      time: "2025-01-15T10:00:05.123Z",
      level: "warn",
      scope: "supervisor",
      message: "two\nlines",
      run_id: "run_1",
      session_id: "ses_1",
      pid: 5,
    },
    { time: "2025-01-15T10:00:05.123Z", level: "info", scope: "agent-runner", message: "plain" },
  ]);
  expect(lines.every((line) => line.indexOf("\n") === line.length - 1)).toBe(true);
});

test("createLog: colours for warnings and errors, on a terminal only", () => {
  const { log, lines } = recorded({ colours: true });
  log.info("plain");
  log.error("red");
  expect(lines[0]).not.toContain("\x1b");
  expect(lines[1]).toStartWith("\x1b[31m");
  expect(lines[1]).toEndWith("red\x1b[0m\n");
});

test("createLog: a scope of a scope has its own name only", () => {
  const { log, lines } = recorded();
  log.scope("poller").scope("executor").info("x");
  expect(endsOf(lines)).toEqual(["[INFO] executor: x"]);
});
