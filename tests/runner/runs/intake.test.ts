import { expect, test } from "bun:test";
import { Bell } from "../../../src/runner/runs/bell.ts";
import { Intake, type IntakeOptions } from "../../../src/runner/runs/intake.ts";
import { until } from "../../harness/until.ts";
import { recordedLog } from "../recorded-log.ts";

class CountingBell extends Bell {
  rings = 0;

  override ring(): void {
    this.rings++;
    super.ring();
  }
}

interface Machine extends Disposable {
  readonly intake: Intake;
  readonly lines: string[];
  /** The shortage; null: there is room. */
  shortage: string | null;
  checks: number;
  readonly bell: CountingBell;
}

function machine(more: Partial<IntakeOptions> = {}): Machine {
  const { log, lines } = recordedLog();
  const requireRoom = (): Promise<void> => {
    made.checks++;
    return made.shortage === null ? Promise.resolve() : Promise.reject(new Error(made.shortage));
  };
  const bell = new CountingBell();
  const intake = new Intake({ log, requireRoom, bell, checkIntervalMs: 2, ...more });
  const made: Machine = {
    intake,
    lines,
    shortage: null,
    checks: 0,
    bell,
    [Symbol.dispose]: () => intake[Symbol.dispose](),
  };
  return made;
}

const full = (): Error => Object.assign(new Error("no space left"), { code: "ENOSPC" });
const never = (): AbortSignal => new AbortController().signal;

test("Intake: closes with one log line, and opens again with another", async () => {
  using at = machine();
  at.shortage = "no disk";
  at.intake.close(full());
  at.intake.close(full());
  expect([at.intake.isClosed, at.bell.rings]).toEqual([true, 1]);
  await until("some checks", () => at.checks > 3);
  expect(at.intake.isClosed).toBe(true);
  at.shortage = null;
  await until("open", () => !at.intake.isClosed);
  expect(at.bell.rings).toBe(2);
  expect(at.lines).toEqual([
    expect.stringMatching(
      /^\[ERROR\] test: No room for more runs on this machine \(no space left\): taking no runs until/,
    ),
    expect.stringMatching(/^\[INFO\] test: There is room again after .*: taking runs$/),
  ]);
});

test("Intake.check: closes the intake if there is no room, and logs the shortage", async () => {
  using at = machine();
  await at.intake.check();
  expect(at.intake.isClosed).toBe(false);
  at.shortage = "only 1 MiB left";
  await at.intake.check();
  expect(at.intake.isClosed).toBe(true);
  expect(at.lines[0]).toContain("only 1 MiB left");
});

test("Intake: waits longer for each check if it closes soon after an opening", async () => {
  using at = machine({ checkIntervalMs: 10 });
  const waits: number[] = [];
  for (let i = 0; i < 4; i++) {
    const begunMs = performance.now();
    at.intake.close(full());
    await until("open", () => !at.intake.isClosed);
    waits.push(performance.now() - begunMs);
  }
  expect(waits[3]).toBeGreaterThan(75);
});

test("Intake.whenThereIsRoom: retries a step that fails for a shortage", async () => {
  using at = machine();
  let tries = 0;
  const step = (): string => {
    if (++tries < 3) throw full();
    return "done";
  };
  expect(await at.intake.whenThereIsRoom(step, never())).toBe("done");
  expect(tries).toBe(3);
});

test("Intake.whenThereIsRoom: passes any other error on", async () => {
  using at = machine();
  const step = (): never => {
    throw new Error("a bug");
  };
  await expect(at.intake.whenThereIsRoom(step, never())).rejects.toThrow("a bug");
  expect(at.intake.isClosed).toBe(false);
});

test("Intake.whenThereIsRoom: gives up when the run is cancelled", async () => {
  using at = machine();
  at.shortage = "no disk";
  at.intake.close(full());
  const cancel = new AbortController();
  let tries = 0;
  const waiting = at.intake.whenThereIsRoom(() => ++tries, cancel.signal);
  cancel.abort();
  expect(await waiting).toBe("cancelled");
  expect(tries).toBe(0);
});

test("Intake.whenThereIsRoom: after the longest wait it throws, with the time and the shortage", async () => {
  using at = machine({ maxWaitMs: 30 });
  at.shortage = "no disk";
  const step = (): never => {
    throw full();
  };
  await expect(at.intake.whenThereIsRoom(step, never())).rejects.toThrow(
    /no room for the run for 30 ms \(no space left\)/,
  );
});

test("Intake: waits end when the runner leaves", async () => {
  const at = machine();
  at.shortage = "no disk";
  at.intake.close(full());
  const waiting = at.intake.whenThereIsRoom(() => 1, never());
  at[Symbol.dispose]();
  expect(await waiting).toBe("cancelled");
});
