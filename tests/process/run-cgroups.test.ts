import { expect, test } from "bun:test";
import { existsSync, mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { randomHex12 } from "../../src/protocol/identifiers.ts";
import { killCgroup, pidsInCgroup, placeOf, removeCgroup, RunCgroups } from "../../src/process/run-cgroups.ts";
import { Leftovers } from "../../src/process/leftovers.ts";
import { ownCgroup } from "../harness/cgroups.ts";
import { isAlive } from "../harness/processes.ts";
import { until } from "../harness/until.ts";
import { recordedLog } from "../runner/recorded-log.ts";
import { place, type Started, started } from "./started-process.ts";

const hasCgroups = ownCgroup !== null;
const RUN = "run_1";

interface Own extends AsyncDisposable {
  readonly owner: string;
  readonly cgroups: RunCgroups;
  readonly lines: string[];
  /** The expected path of the run's cgroup. */
  pathOf(runId: string): string;
}

/** Cgroups of an identity that only this test uses. The end of the block kills their processes and removes them. */
async function own(): Promise<Own> {
  const owner = `test-${randomHex12()}`;
  const { log, lines } = recordedLog();
  const pathOf = (runId: string): string => join(ownCgroup ?? "", `agent-runner.${owner}.${runId}`);
  return {
    owner,
    lines,
    cgroups: RunCgroups.open(owner, log),
    pathOf,
    async [Symbol.asyncDispose]() {
      killCgroup(pathOf(RUN));
      await until("the cgroup to be gone", () => removeCgroup(pathOf(RUN)));
    },
  };
}

const sleeping = (at: ReturnType<typeof place>, cgroup: string | null): Started =>
  started(at.request(["sleep", "300"]), cgroup);

test.if(hasCgroups)(
  "RunCgroups: an executor and its descendants are in the run's cgroup from their start",
  async () => {
    await using at = await own();
    using folder = place();
    await using run = started(
      folder.request(["sh", "-c", "cat /proc/self/cgroup; sleep 300 & sleep 300"]),
      at.cgroups.make(RUN),
    );
    await until("the executor's cgroup", () => run.stdout().includes("0::"));
    expect(run.stdout()).toContain(`/agent-runner.${at.owner}.${RUN}`);
    await until("shim, executor and both children", () => pidsInCgroup(at.pathOf(RUN)).size === 4);
  },
);

test.if(hasCgroups)("RunCgroups: an executor runs even if its cgroup is gone", async () => {
  await using at = await own();
  using folder = place();
  const cgroup = at.cgroups.make(RUN);
  rmdirSync(at.pathOf(RUN));
  await using run = started(folder.request(["sh", "-c", "echo done; echo fault >&2; exit 3"]), cgroup);
  expect(await run.process.exited).toEqual({ code: 3, signal: null });
  expect([run.stdout(), run.process.stderr.tail(100)]).toEqual(["done", "fault"]);
});

test.if(hasCgroups)("RunCgroups: make returns the same path twice; drop removes only an empty cgroup", async () => {
  await using at = await own();
  using folder = place();
  expect([at.cgroups.make(RUN), at.cgroups.make(RUN)]).toEqual([at.pathOf(RUN), at.pathOf(RUN)]);
  await using run = sleeping(folder, at.pathOf(RUN));
  await until("the process to be in the cgroup", () => pidsInCgroup(at.pathOf(RUN)).has(run.process.pid));
  at.cgroups.drop(RUN);
  expect(existsSync(at.pathOf(RUN))).toBe(true);
  at.cgroups.kill(RUN);
  await run.process.exited;
  await until("the cgroup to be gone", () => {
    at.cgroups.drop(RUN);
    return !existsSync(at.pathOf(RUN));
  });
});

test.if(hasCgroups)(
  "RunCgroups: the runner's next process removes empty cgroups, finds the others, and touches no other runner's",
  async () => {
    await using at = await own();
    await using other = await own();
    using folder = place();
    at.cgroups.make(RUN);
    at.cgroups.make("run_2");
    other.cgroups.make(RUN);
    // As if an earlier process of this runner had another base.
    const elsewhere = join(ownCgroup ?? "", `elsewhere-${at.owner}`);
    const moved = join(elsewhere, `agent-runner.${at.owner}.run_3`);
    mkdirSync(elsewhere);
    mkdirSync(moved);
    await using run = sleeping(folder, moved);
    await until("the process to be in the cgroup", () => pidsInCgroup(moved).has(run.process.pid));

    const next = RunCgroups.open(at.owner, recordedLog().log);
    expect([at.pathOf(RUN), at.pathOf("run_2"), other.pathOf(RUN), moved].map(existsSync)).toEqual([
      false,
      false,
      true,
      true,
    ]);
    expect([next.of(RUN), next.of("run_3")]).toEqual([at.pathOf(RUN), moved]);
    next.kill("run_3");
    await run.process.exited;
    await until("the cgroups to be gone", () => removeCgroup(elsewhere));
  },
);

test.if(hasCgroups)(
  "RunCgroups: a runner inside a run of its own identity does not claim that run's cgroup",
  async () => {
    await using at = await own();
    using folder = place();
    const cgroup = at.cgroups.make(RUN);
    const source = new URL("../../src/process/run-cgroups.ts", import.meta.url).pathname;
    const script = `const { RunCgroups } = await import(${JSON.stringify(source)});
    const log = { debug() {} };
    const own = RunCgroups.open(${JSON.stringify(at.owner)}, log);
    console.log(own.of(${JSON.stringify(RUN)}));`;
    await using run = started(folder.request([process.execPath, "-e", script]), cgroup);
    expect(await run.process.exited).toEqual({ code: 0, signal: null });
    expect(run.stdout()).toBe(`${cgroup}/agent-runner.${at.owner}.${RUN}`);
  },
);

test.if(hasCgroups)("removeCgroup, pidsInCgroup and killCgroup: include the cgroups below", async () => {
  await using at = await own();
  using folder = place();
  const inner = join(at.cgroups.make(RUN) ?? "", "inner");
  mkdirSync(inner);
  mkdirSync(join(inner, "empty"));
  await using run = sleeping(folder, inner);
  await until("the process to be in the cgroup", () => pidsInCgroup(at.pathOf(RUN)).has(run.process.pid));
  expect(removeCgroup(at.pathOf(RUN))).toBe(false);
  killCgroup(at.pathOf(RUN));
  expect((await run.process.exited).signal).toBe("SIGKILL");
  await until("the cgroup to be gone", () => removeCgroup(at.pathOf(RUN)));
  expect(existsSync(at.pathOf(RUN))).toBe(false);
  expect([removeCgroup(at.pathOf(RUN)), [...pidsInCgroup(at.pathOf(RUN))]]).toEqual([true, []]);
});

test.if(hasCgroups)(
  "Leftovers: ends and counts what only the cgroup reveals, SIGTERM first, and removes the cgroup",
  async () => {
    await using at = await own();
    using folder = place();
    const inner = `trap "echo cleaned >${folder.path}/cleaned; exit" TERM; echo ready; while :; do sleep 0.02; done`;
    const script = `env -i setsid sh -c '(${inner}) &'`;
    await using run = started(folder.request(["sh", "-c", script]), at.cgroups.make(RUN));
    await run.process.exited;
    await until("the leftover to run", () => run.stdout().includes("ready"));
    const leader = { pid: run.process.pid, startedAt: run.process.startedAt };
    const { ended, left } = await new Leftovers(at.cgroups).end(
      { runId: RUN, leader, graceMs: 10_000 },
      { coalesce: false },
    );
    expect(left).toEqual([]);
    expect(ended).toBeGreaterThanOrEqual(1);
    expect(await Bun.file(join(folder.path, "cleaned")).text()).toBe("cleaned\n");
    expect(existsSync(at.pathOf(RUN))).toBe(false);
  },
);

test.if(hasCgroups)("Leftovers: kills what ignores SIGTERM in the cgroup after the grace period", async () => {
  await using at = await own();
  using folder = place();
  const script = `env -i setsid sh -c '(trap "" TERM; exec sleep 300) & echo $!'`;
  await using run = started(folder.request(["sh", "-c", script]), at.cgroups.make(RUN));
  await run.process.exited;
  const pid = Number(run.stdout());
  const ended = await new Leftovers(at.cgroups).end({ runId: RUN, leader: null, graceMs: 300 }, { coalesce: false });
  expect([ended, isAlive(pid), existsSync(at.pathOf(RUN))]).toEqual([{ ended: 1, left: [] }, false, false]);
});

const HYBRID = `30 22 0:27 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:28 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
40 30 0:37 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw`;
const mounted = (root: string, point: string): string =>
  `29 23 0:26 ${root} ${point} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate`;

test.each([
  [
    "one mount",
    mounted("/", "/sys/fs/cgroup"),
    "0::/user.slice/a.scope\n",
    { mount: "/sys/fs/cgroup", own: "/sys/fs/cgroup/user.slice/a.scope" },
  ],
  [
    "beside version 1",
    HYBRID,
    "3:cpuset:/\n1:cpu:/x\n0::/\n",
    { mount: "/sys/fs/cgroup/unified", own: "/sys/fs/cgroup/unified" },
  ],
  [
    "a part mounted",
    mounted("/docker/1", "/sys/fs/cgroup"),
    "0::/docker/1/in",
    { mount: "/sys/fs/cgroup", own: "/sys/fs/cgroup/in" },
  ],
  [
    "exactly the part mounted",
    mounted("/docker/1", "/sys/fs/cgroup"),
    "0::/docker/1",
    { mount: "/sys/fs/cgroup", own: "/sys/fs/cgroup" },
  ],
  ["a blank in its name", mounted("/", "/my\\040cgroups"), "0::/a", { mount: "/my cgroups", own: "/my cgroups/a" }],
  ["another part mounted", mounted("/docker/1", "/sys/fs/cgroup"), "0::/docker/12", null],
  ["outside the namespace", mounted("/", "/sys/fs/cgroup"), "0::/../other", null],
  ["only version 1", HYBRID.split("\n").slice(0, 2).join("\n"), "1:cpu:/x\n", null],
  ["not mounted", HYBRID.split("\n").slice(0, 2).join("\n"), "0::/\n", null],
])("placeOf: %s", (_, mountinfo, cgroup, place) => {
  expect(placeOf(mountinfo, cgroup)).toEqual(place);
});
