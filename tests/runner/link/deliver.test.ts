import { expect, test } from "bun:test";
import { CoordinatorFailure, type FailureKind } from "../../../src/client/failure.ts";
import { deliver, type DeliverOptions } from "../../../src/runner/link/deliver.ts";
import { Link } from "../../../src/runner/link/link.ts";
import { recordedLog } from "../recorded-log.ts";

interface Setup {
  readonly options: DeliverOptions;
  readonly link: Link;
  readonly lines: string[];
  renewals: number;
}

function setup(more: Partial<DeliverOptions> = {}): Setup {
  const { log, lines } = recordedLog();
  const link = new Link(log, 0, () => {});
  // No waits in these tests: the coordinator is back at once.
  link.pause = () => Promise.resolve();
  const made: Setup = {
    link,
    lines,
    renewals: 0,
    options: { link, log, renew: () => Promise.resolve(void made.renewals++), ...more },
  };
  return made;
}

/** Fails with each failure of the list in turn, then answers 7. */
function failing(...kinds: readonly (FailureKind | number)[]): (() => Promise<number>) & { calls: number } {
  const call = (): Promise<number> => {
    const kind = kinds[call.calls++];
    if (kind === undefined) return Promise.resolve(7);
    return Promise.reject(
      typeof kind === "number"
        ? new CoordinatorFailure("unavailable", "down", kind)
        : new CoordinatorFailure(kind, "no"),
    );
  };
  call.calls = 0;
  return call;
}

test("deliver: returns the answer of the first attempt", async () => {
  const { options, lines } = setup();
  expect(await deliver("It", failing(), options)).toEqual({ kind: "answered", value: 7 });
  expect(lines).toEqual([]);
});

test("deliver: retries calls without an answer or with an invalid one", async () => {
  const { options } = setup();
  const call = failing(...Array<FailureKind>(30).fill("unreachable"), "unavailable", "unreachable");
  expect(await deliver("It", call, options)).toEqual({ kind: "answered", value: 7 });
  expect(call.calls).toBe(33);
});

test("deliver: logs one line for an outage of the coordinator or of a proxy", async () => {
  for (const kind of ["unreachable", 502, 503, 504] as const) {
    const { options, lines } = setup();
    await deliver("It", failing(kind, kind, kind), options);
    expect(lines).toEqual([expect.stringContaining("is away"), expect.stringContaining("is back")]);
  }
});

test("deliver: logs an error of the coordinator once, and does not count it as an outage", async () => {
  const { options, lines, link } = setup({ context: { run: "run_1" } });
  await deliver("It", failing(500, 500, 500), options);
  expect(lines).toEqual(["[WARNING] test: It was not accepted, retrying: down [run_1]"]);
  expect(link.isDown).toBe(false);
});

test("deliver: does not retry a refusal, which shows that the coordinator is up", async () => {
  const { options, link } = setup();
  const call = failing("unreachable", "refused");
  expect(await deliver("It", call, options)).toMatchObject({ kind: "refused", failure: { kind: "refused" } });
  expect([call.calls, link.isDown]).toEqual([2, false]);
});

test("deliver: registers again after a 401, and retries", async () => {
  const made = setup();
  const call = failing("unregistered");
  expect(await deliver("It", call, made.options)).toEqual({ kind: "answered", value: 7 });
  expect([call.calls, made.renewals]).toEqual([2, 1]);
});

test("deliver: gives up a question after repeated 401s", async () => {
  const made = setup();
  const call = failing(...Array<FailureKind>(20).fill("unregistered"));
  expect(await deliver("It", call, made.options)).toMatchObject({ kind: "refused", failure: { kind: "unregistered" } });
  expect([call.calls, made.renewals]).toEqual([6, 5]);
});

test("deliver: an outage resets the count of 401s", async () => {
  const rounds = Array.from({ length: 4 }, (): FailureKind[] => [
    "unregistered",
    "unregistered",
    "unregistered",
    "unreachable",
  ]);
  expect(await deliver("It", failing(...rounds.flat()), setup().options)).toEqual({ kind: "answered", value: 7 });
});

test("deliver: retries a report after any number of 401s", async () => {
  const made = setup({ isReport: true });
  expect(await deliver("It", failing(...Array<FailureKind>(20).fill("unregistered")), made.options)).toEqual({
    kind: "answered",
    value: 7,
  });
  expect(made.renewals).toBe(20);
});

test("deliver: gives up when its signal fires, and makes no call if it has fired", async () => {
  const controller = new AbortController();
  const made = setup({ signal: controller.signal });
  const call = failing(...Array<FailureKind>(5).fill("unreachable"));
  made.link.pause = () => Promise.resolve(call.calls === 3 ? controller.abort() : undefined);
  expect(await deliver("It", call, made.options)).toEqual({ kind: "given-up" });
  expect(call.calls).toBe(3);
  expect(await deliver("It", call, made.options)).toEqual({ kind: "given-up" });
  expect(call.calls).toBe(3);
});
