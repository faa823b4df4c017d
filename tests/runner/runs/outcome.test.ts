import { expect, test } from "bun:test";
import { describeOutcome, type Outcome, outcomeOfExit, reportOf } from "../../../src/runner/runs/outcome.ts";

const stderr = (text: string) => () => text;
const EXIT_0 = { code: 0, signal: null };
const KILLED = { code: null, signal: "SIGKILL" } as const;

test("outcomeOfExit: 0 is a success, even with text on stderr", () => {
  expect(outcomeOfExit(EXIT_0, null, "SIGTERM", stderr("a warning"))).toEqual({ kind: "succeeded" });
});

test("outcomeOfExit: another code is a failure with the end of stderr, or with the code if stderr is empty", () => {
  expect(outcomeOfExit({ code: 3, signal: null }, null, "SIGTERM", stderr("it broke"))).toEqual({
    kind: "failed",
    error: "it broke",
  });
  expect(outcomeOfExit({ code: 3, signal: null }, null, "SIGTERM", stderr(""))).toEqual({
    kind: "failed",
    error: "Process exited with code 3",
  });
});

test("outcomeOfExit: 75 is a transient failure", () => {
  expect(outcomeOfExit({ code: 75, signal: null }, null, "SIGTERM", stderr("limit reached"))).toEqual({
    kind: "failed",
    error: "limit reached",
    reason: "temporary",
  });
});

test("outcomeOfExit: a signal from elsewhere is a failure that names the signal", () => {
  expect(outcomeOfExit(KILLED, null, "SIGTERM", stderr(""))).toEqual({
    kind: "failed",
    error: "The executor was ended by SIGKILL",
    reason: "interrupted",
  });
});

test.each(["stop-command", "shutdown"] as const)(
  "outcomeOfExit: after a %s it is stopped, with the signal that was used, however it exited",
  (kind) => {
    expect(outcomeOfExit(EXIT_0, { kind }, "SIGTERM", stderr("x"))).toEqual({ kind: "stopped", signal: "SIGTERM" });
    expect(outcomeOfExit(KILLED, { kind }, "SIGKILL", stderr("x"))).toEqual({ kind: "stopped", signal: "SIGKILL" });
  },
);

test("outcomeOfExit: after the run time-out it is a failure that names the time-out", () => {
  const outcome = outcomeOfExit(EXIT_0, { kind: "run-timeout", afterMs: 90_000 }, "SIGKILL", stderr("x"));
  expect(outcome).toEqual({
    kind: "timed-out",
    error: "The run took longer than the run time-out of 1 min 30 s and was ended (SIGKILL)",
  });
});

test("outcomeOfExit: an executor that was ended without a runner has failed, and a retry may succeed", () => {
  const outcome = outcomeOfExit(EXIT_0, { kind: "abandoned", afterMs: 3_600_000 }, "SIGTERM", stderr("x"));
  expect(outcome).toEqual({
    kind: "failed",
    error: "The runner did not come back for 1 h, so the executor was ended",
    reason: "interrupted",
  });
});

test.each<[Outcome, unknown, string]>([
  [{ kind: "succeeded" }, { verb: "completed" }, "completed"],
  [{ kind: "failed", error: "e" }, { verb: "failed", error: "e" }, "failed"],
  [{ kind: "failed", error: "e", reason: "temporary" }, { verb: "failed", error: "e", reason: "temporary" }, "failed"],
  [
    { kind: "vanished", error: "e" },
    { verb: "failed", error: "e", reason: "interrupted" },
    "failed (the executor vanished)",
  ],
  [{ kind: "timed-out", error: "e" }, { verb: "failed", error: "e", reason: "timed_out" }, "failed (run time-out)"],
  [
    { kind: "not-started", error: "e" },
    { verb: "failed", error: "e", reason: "not_started" },
    "failed (not started: e)",
  ],
  [{ kind: "stopped", signal: "SIGKILL" }, { verb: "stopped", signal: "SIGKILL" }, "stopped (SIGKILL)"],
  [{ kind: "claim-revoked", reason: "r" }, null, "was revoked (r)"],
])("reportOf, describeOutcome: of %j", (outcome, report, words) => {
  expect(reportOf(outcome)).toEqual(report as never);
  expect(describeOutcome(outcome)).toBe(words);
});

test("reportOf: with the time that the executor ran, in whole milliseconds", () => {
  expect(reportOf({ kind: "succeeded", durationMs: 12.6 })).toEqual({ verb: "completed", durationMs: 13 });
  expect(reportOf({ kind: "stopped", signal: "SIGTERM", durationMs: 0.2 })).toEqual({
    verb: "stopped",
    signal: "SIGTERM",
    durationMs: 0,
  });
});

test("describeOutcome: leaves out the error text, which may contain an agent's work", () => {
  expect(describeOutcome({ kind: "failed", error: "private" })).not.toContain("private");
});

test.each([
  ["Error: Unsupported schema version: 2.0. Supported: 2.2", "2.2"],
  ["a line\nValueError: Unsupported schema version: 2.2. Supported: 2.0", "2.0"],
  ["Missing required field: parameters", "2.2"],
  ["Missing required field: prompt", "2.0"],
])("outcomeOfExit: adds a hint to an executor's %j", (text, version) => {
  const outcome = outcomeOfExit({ code: 1, signal: null }, null, "SIGTERM", stderr(text));
  const hint = `set AGENT_INVOCATION_SCHEMA=${version} for the runner`;
  const error = `${text}\nThe executor takes another version of the invocation: ${hint}`;
  expect(outcome).toEqual({ kind: "failed", error });
});
