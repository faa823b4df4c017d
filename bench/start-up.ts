import { binaryFile } from "../build.ts";
import type { Item } from "./figure.ts";
import { compiledEmpty, compiledLimit } from "./limits.ts";
import type { Program } from "./program.ts";
import { Scene } from "./scene.ts";
import { summarise, interleave, timed } from "./statistics.ts";
import { StubCoordinator } from "./stub-coordinator.ts";

const AIM = { of: "ratio", bound: 1.5 } as const;

/** The time to print the version, and the time from a runner's start to its first poll. */
export const startUp: Item = {
  name: "start-up",
  async measure({ quick }) {
    await using scene = new Scene();
    using stub = new StubCoordinator();
    const rounds = { warmUp: 3, samples: quick ? 10 : 100 };
    const executor = scene.executor("nothing", "exit 0");
    const [empty, limit] = [await compiledEmpty(), await compiledLimit()];
    const untilPoll = async (start: () => Program): Promise<number> => (await stub.untilPoll(start)).ms;

    const [version = [], nothing = []] = await interleave(
      rounds,
      () => untilExit(scene, [binaryFile, "--version"]),
      () => untilExit(scene, [empty]),
    );
    const [firstPoll = [], firstFetch = []] = await interleave(
      rounds,
      () => untilPoll(() => scene.startRunner(stub.url, executor, {})),
      () => untilPoll(() => scene.start([limit, "fetch", `${stub.url}/runner/runs`])),
    );
    const common = { item: "start-up", unit: "ms", better: "lower", aim: AIM } as const;
    return [
      {
        ...common,
        what: "--version",
        measured: summarise(version),
        limit: summarise(nothing),
        limitIs: "an empty compiled Bun program, from start to exit",
      },
      {
        ...common,
        what: "process to first poll",
        measured: summarise(firstPoll),
        limit: summarise(firstFetch),
        limitIs: "a compiled Bun program that only sends one request, from start to the request's arrival",
      },
    ];
  },
};

function untilExit(scene: Scene, command: readonly string[]): Promise<number> {
  return timed(() => scene.start(command).exited);
}
