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
  // Nobody waits in these tests: the coordinator is always just back.
  link.pause = () => Promise.resolve();
  const made: Setup = {
    link,
    lines,
    renewals: 0,
    options: { link, log, renew: () => Promise.resolve(void made.renewals++), ...more },
  };
  return made;
}

/** Fails as often and in the way that the list says, then answers 7. */
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

test("deliver: an answer at the first try", async () => {
  const { options, lines } = setup();
  expect(await deliver("It", failing(), options)).toEqual({ kind: "answered", value: 7 });
  expect(lines).toEqual([]);
});

test("deliver: repeats what was not answered, and what was answered with nonsense, for as long as it takes", async () => {
  const { options } = setup();
  const call = failing(...Array<FailureKind>(30).fill("unreachable"), "unavailable", "unreachable");
  expect(await deliver("It", call, options)).toEqual({ kind: "answered", value: 7 });
  expect(call.calls).toBe(33);
});

test("deliver: an outage is one line, whether it or a proxy before it is away", async () => {
  for (const kind of ["unreachable", 502, 503, 504] as const) {
    const { options, lines } = setup();
    await deliver("It", failing(kind, kind, kind), options);
    expect(lines).toEqual([expect.stringContaining("is away"), expect.stringContaining("is back")]);
  }
});

test("deliver: a coordinator in trouble is there all the same; that is told once", async () => {
  const { options, lines, link } = setup({ context: { run: "run_1" } });
  await deliver("It", failing(500, 500, 500), options);
  expect(lines).toEqual(["[WARNING] test: It was not accepted, trying again: down [run_1]"]);
  expect(link.isDown).toBe(false);
});

test("deliver: a refusal is for good, and shows that the coordinator is there", async () => {
  const { options, link } = setup();
  const call = failing("unreachable", "refused");
  expect(await deliver("It", call, options)).toMatchObject({ kind: "refused", failure: { kind: "refused" } });
  expect([call.calls, link.isDown]).toEqual([2, false]);
});

test("deliver: a 401 registers again and repeats", async () => {
  const made = setup();
  const call = failing("unregistered");
  expect(await deliver("It", call, made.options)).toEqual({ kind: "answered", value: 7 });
  expect([call.calls, made.renewals]).toEqual([2, 1]);
});

test("deliver: a question that is answered 401 after every registration is refused", async () => {
  const made = setup();
  const call = failing(...Array<FailureKind>(20).fill("unregistered"));
  expect(await deliver("It", call, made.options)).toMatchObject({ kind: "refused", failure: { kind: "unregistered" } });
  expect([call.calls, made.renewals]).toEqual([6, 5]);
});

test("deliver: an outage between them begins the count of 401 anew", async () => {
  const rounds = Array.from({ length: 4 }, (): FailureKind[] => [
    "unregistered",
    "unregistered",
    "unregistered",
    "unreachable",
  ]);
  expect(await deliver("It", failing(...rounds.flat()), setup().options)).toEqual({ kind: "answered", value: 7 });
});

test("deliver: a report is not given up for any number of 401", async () => {
  const made = setup({ isReport: true });
  expect(await deliver("It", failing(...Array<FailureKind>(20).fill("unregistered")), made.options)).toEqual({
    kind: "answered",
    value: 7,
  });
  expect(made.renewals).toBe(20);
});

test("deliver: gives up when its signal fires, and does not begin where it has fired", async () => {
  const controller = new AbortController();
  const made = setup({ signal: controller.signal });
  const call = failing(...Array<FailureKind>(5).fill("unreachable"));
  made.link.pause = () => Promise.resolve(call.calls === 3 ? controller.abort() : undefined);
  expect(await deliver("It", call, made.options)).toEqual({ kind: "given-up" });
  expect(call.calls).toBe(3);
  expect(await deliver("It", call, made.options)).toEqual({ kind: "given-up" });
  expect(call.calls).toBe(3);
});
