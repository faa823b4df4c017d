import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { punchHole } from "../src/process/punch-hole.ts";
import { OPERATIONS, type Rates, Side } from "./coordinator.ts";
import { type SpawnLimits, untilFirstInstruction } from "./dispatch.ts";
import type { Effort, Figure, Item } from "./figure.ts";
import { compiledLimit } from "./limits.ts";
import { fileCallsOf, pageFaultsOf, residentPartsOf } from "./process-usage.ts";
import { Scene } from "./scene.ts";
import { shimmedCommand } from "./shimmed.ts";
import { single, summarise, takeTurns, timed } from "./statistics.ts";
import { StubCoordinator } from "./stub-coordinator.ts";

/** What the figures of the other items are made of, in counts where there are any: a count is the same however busy the machine is. */
export const explain: Item = {
  name: "explain",
  needsLinux: true,
  async measure(effort) {
    return [await pageFault(), ...(await startUp(effort)), ...(await dispatch(effort)), ...(await idle()), givingBack(effort), ...(await coordinator(effort))];
  },
};

const figure = (what: string, unit: string, measured: Figure["measured"], limit: Figure["limit"], limitIs?: string): Figure => ({
  item: "explain",
  what,
  unit,
  better: "lower",
  measured,
  limit,
  ...(limitIs === undefined ? {} : { limitIs }),
});

const PAGE = 4096;

/** What it costs to touch a page of memory for the first time: much of what a start, a fork and an exec cost is that. */
async function pageFault(): Promise<Figure> {
  const pages = 8_192;
  const samples: number[] = [];
  while (samples.length < 10) {
    const memory = new Uint8Array(pages * PAGE);
    const before = pageFaultsOf(process.pid);
    const ms = await timed(async () => {
      for (let at = 0; at < memory.length; at += PAGE) memory[at] = 1;
    });
    samples.push((ms * 1_000) / Math.max(1, pageFaultsOf(process.pid) - before));
  }
  return figure("a page of memory that is touched for the first time", "us", summarise(samples), null);
}

/** Why a start takes as long as it does: the pages that it touches, and the requests before the poll. */
async function startUp({ quick }: Effort): Promise<Figure[]> {
  await using scene = new Scene();
  using stub = new StubCoordinator();
  const executor = scene.executor("nothing", "exit 0");
  const limit = await compiledLimit();
  const faults = ({ pid }: { pid: number }): number => pageFaultsOf(pid);
  const [runner = [], bare = []] = await takeTurns(
    { warmUp: 1, samples: quick ? 3 : 10 },
    () => stub.untilPoll(() => scene.startRunner(stub.url, executor, {}), faults),
    () => stub.untilPoll(() => scene.start([limit, "fetch", `${stub.url}/runner/runs`]), faults),
  );
  const program = "a compiled Bun program that does nothing but send one request";
  return [
    figure("start-up: page faults to the first poll", "", summarise(runner.map(({ seen }) => seen)), summarise(bare.map(({ seen }) => seen)), program),
    figure("start-up: requests to the first poll", "", summarise(runner.map(({ requests }) => requests)), summarise(bare.map(({ requests }) => requests)), program),
  ];
}

/** What a dispatch cannot do without, a step more in each line; the limit of each is the line before. */
async function dispatch({ quick }: Effort): Promise<Figure[]> {
  await using scene = new Scene();
  const bell = scene.bell();
  const executor = scene.executor("rings", `echo begun >${bell.path}`);
  const limits: SpawnLimits = { scene, bell, serverUrl: (await scene.limitServer()).url };
  const shim = shimmedCommand(scene, executor);
  const [bare, shell, shimmed, trips] = (
    await takeTurns(
      { warmUp: 5, samples: quick ? 20 : 200 },
      () => untilFirstInstruction(limits, [executor]),
      () => untilFirstInstruction(limits, ["/bin/sh", "-c", 'exec "$0"', executor]),
      () => untilFirstInstruction(limits, shim()),
      () => untilFirstInstruction(limits, shim(), 3),
    )
  ).map((samples) => summarise(samples)) as [Figure["measured"], Figure["measured"], Figure["measured"], Figure["measured"]];
  return [
    figure("dispatch: one round trip and a spawn", "ms", bare, null),
    figure("dispatch: the spawn through a shell that execs the executor", "ms", shell, bare, "the line before: without that shell"),
    figure("dispatch: the spawn under the shim, which forks and stays", "ms", shimmed, shell, "the line before: a shell that does not stay"),
    figure("dispatch: the same and two more round trips (claim, started)", "ms", trips, shimmed, "the line before: one round trip"),
  ];
}

/** What is in the memory of a runner that waits. */
async function idle(): Promise<Figure[]> {
  await using scene = new Scene();
  const { url } = await scene.coordinator();
  const runner = await scene.runner(url, scene.executor("nothing", "exit 0"));
  const limit = scene.start([await compiledLimit(), "fetch", `${(await scene.limitServer()).url}/pending`]);
  await Bun.sleep(3_000);
  const [ofRunner, ofLimit] = [residentPartsOf(runner.pid), residentPartsOf(limit.pid)];
  const program = "a compiled Bun program with one pending fetch";
  return [
    figure("idle: resident of the program's own file", "MiB", single(ofRunner.programKiB / 1024), single(ofLimit.programKiB / 1024), program),
    figure("idle: memory of no file, most of it the JavaScript heap", "MiB", single(ofRunner.anonymousKiB / 1024), single(ofLimit.anonymousKiB / 1024), program),
  ];
}

/** What the bounding of a flood costs whoever does it: the file system takes its pages back one by one. */
function givingBack({ quick }: Effort): Figure {
  const scene = new Scene();
  const mebibytes = quick ? 64 : 1_024;
  const block = new Uint8Array(1024 ** 2);
  const samples: number[] = [];
  for (let round = quick ? 2 : 5; round > 0; round--) {
    const path = scene.path("flood");
    const fd = openSync(path, "w+");
    for (let written = 0; written < mebibytes; written++) writeSync(fd, block);
    const begunMs = performance.now();
    punchHole(fd, 0, mebibytes * 1024 ** 2);
    samples.push(performance.now() - begunMs);
    closeSync(fd);
    rmSync(path);
  }
  rmSync(scene.folder, { recursive: true });
  Scene.open.delete(scene);
  return figure(`output: a hole of ${mebibytes} MiB in a file that was just written`, "ms", summarise(samples), null);
}

/** How often the coordinator reads from and writes to its database for one call, by what is behind it. */
async function coordinator({ quick }: Effort): Promise<Figure[]> {
  await using scene = new Scene();
  const behind = quick ? 10_000 : 100_000;
  const [full, empty] = [await Side.start(scene, behind), await Side.start(scene, 0)];
  const block = quick ? 50 : 200;
  const calls = ({ pid }: Side) => async (count: number, work: () => Promise<unknown>): Promise<number> => {
    const before = fileCallsOf(pid);
    await work();
    return (fileCallsOf(pid) - before) / count;
  };
  const [ofFull = [], ofEmpty = []] = await takeTurns<Rates>(
    { warmUp: 1, samples: quick ? 3 : 10 },
    () => full.measure(block, calls(full)),
    () => empty.measure(block, calls(empty)),
  );
  return OPERATIONS.map((operation) =>
    figure(
      `coordinator: reads and writes for one of the ${operation}, ${behind.toLocaleString("en")} runs behind`,
      "",
      summarise(ofFull.map((round) => round[operation])),
      summarise(ofEmpty.map((round) => round[operation])),
      "a coordinator without runs behind it",
    ),
  );
}
