import { binaryFile } from "../../build.ts";
import type { Effort, Figure } from "../figure.ts";
import { compiledEmpty, compiledLimit, compiledLoaded } from "../limits.ts";
import { pageFaultsOf, pageFaultsOfChildren } from "../process-usage.ts";
import { Scene } from "../scene.ts";
import { type Rounds, type Summary, summarise, interleave, timed } from "../statistics.ts";
import { StubCoordinator } from "../stub-coordinator.ts";
import { explainFigure } from "./explain-figure.ts";

const PAGE = 4096;

/** Page faults dominate a start: the cost of one, and the number in each step. */
export async function pageFaultFigures({ quick }: Effort): Promise<Figure[]> {
  await using scene = new Scene();
  using stub = new StubCoordinator();
  const rounds = { warmUp: 1, samples: quick ? 3 : 10 };
  const executor = scene.executor("nothing", "exit 0");
  const poll = `${stub.url}/runner/runs`;
  const [limit, loaded] = [await compiledLimit(), await compiledLoaded()];
  const until = (command: readonly string[]) => () =>
    stub.untilPoll(
      () => scene.start(command),
      ({ pid }) => pageFaultsOf(pid),
    );
  const [bare = [], system = [], modules = [], runner = []] = await interleave(
    rounds,
    until([limit, "fetch", poll]),
    until([loaded, "system", poll]),
    until([loaded, "runner", poll]),
    () =>
      stub.untilPoll(
        () => scene.startRunner(stub.url, executor, {}),
        ({ pid }) => pageFaultsOf(pid),
      ),
  );
  const [ofBare, ofSystem, ofModules, ofRunner] = [bare, system, modules, runner].map((polls) =>
    summarise(polls.map(({ inspected }) => inspected)),
  ) as [Summary, Summary, Summary, Summary];
  const requests = summarise(runner.map((one) => one.requests));
  const before = "the row above";
  return [
    explainFigure("start-up: one page fault", "us", await pageFault()),
    ...(await ofVersion(scene, rounds)),
    explainFigure("start-up: page faults of a program that sends one request", "", ofBare),
    explainFigure("start-up: the same, with the runner's system modules loaded", "", ofSystem, ofBare, before),
    explainFigure("start-up: the same, with the runner's own modules loaded too", "", ofModules, ofSystem, before),
    explainFigure("start-up: page faults of the runner until its first poll", "", ofRunner, ofModules, before),
    explainFigure(
      "start-up: requests of the runner until its first poll",
      "",
      requests,
      summarise(bare.map((one) => one.requests)),
      "the program that sends one request",
    ),
  ];
}

async function ofVersion(scene: Scene, rounds: Rounds): Promise<Figure[]> {
  const empty = await compiledEmpty();
  const faultsOf = async (...command: string[]): Promise<number> => {
    const before = pageFaultsOfChildren(process.pid);
    Bun.spawnSync(command, { env: { ...scene.env } });
    return pageFaultsOfChildren(process.pid) - before;
  };
  const [version = [], nothing = []] = await interleave(
    rounds,
    () => faultsOf(binaryFile, "--version"),
    () => faultsOf(empty),
  );
  return [
    explainFigure(
      "start-up: page faults of --version",
      "",
      summarise(version),
      summarise(nothing),
      "an empty compiled Bun program",
    ),
  ];
}

async function pageFault(): Promise<Summary> {
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
  return summarise(samples);
}
