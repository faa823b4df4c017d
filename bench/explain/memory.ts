import type { Figure } from "../figure.ts";
import { compiledLimit, compiledLoaded } from "../limits.ts";
import type { Program } from "../program.ts";
import { residentPartsOf } from "../process-usage.ts";
import { Scene } from "../scene.ts";
import { single } from "../statistics.ts";
import { explainFigure } from "./explain-figure.ts";

const SETTLED_MS = 3_000;

/** The memory of an idle runner, broken down: how much of it the loaded modules alone take. */
export async function memoryFigures(): Promise<Figure[]> {
  await using scene = new Scene();
  const { url } = await scene.coordinator();
  const pending = `${(await scene.limitServer()).url}/pending`;
  const [limit, loaded] = [await compiledLimit(), await compiledLoaded()];
  const programs: [string, Program][] = [
    ["a program with one pending fetch", scene.start([limit, "fetch", pending])],
    ["the same, with the runner's system modules loaded", scene.start([loaded, "system", pending])],
    ["the same, with the runner's own modules loaded too", scene.start([loaded, "runner", pending])],
    ["the idle runner", await scene.runner(url, scene.executor("nothing", "exit 0"))],
  ];
  await Bun.sleep(SETTLED_MS);
  const parts = programs.map(([what, { pid }]) => ({ what, ...residentPartsOf(pid) }));
  const figures = (name: string, of: (one: (typeof parts)[number]) => number): Figure[] =>
    parts.map((one, index) => {
      const before = parts[index - 1];
      return explainFigure(
        `idle: ${name}: ${one.what}`,
        "MiB",
        single(of(one) / 1024),
        before === undefined ? null : single(of(before) / 1024),
        "the row above",
      );
    });
  return [
    ...figures("anonymous memory", ({ anonymousKiB }) => anonymousKiB),
    ...figures("resident pages of the program's file", ({ programKiB }) => programKiB),
  ];
}
