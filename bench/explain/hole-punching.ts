import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { punchHole } from "../../src/process/output/punch-hole.ts";
import type { Effort, Figure } from "../figure.ts";
import { Scene } from "../scene.ts";
import { summarise } from "../statistics.ts";
import { explainFigure } from "./explain-figure.ts";

/** The cost of limiting a flood: the file system frees the pages of a hole one by one. */
export async function holePunchingFigures({ quick }: Effort): Promise<Figure[]> {
  await using scene = new Scene();
  const mebibytes = quick ? 64 : 1_024;
  const block = new Uint8Array(1024 ** 2);
  const samples: number[] = [];
  for (let round = quick ? 2 : 5; round > 0; round--) {
    const path = scene.path("flood");
    const fd = openSync(path, "w+");
    for (let written = 0; written < mebibytes; written++) writeSync(fd, block);
    const startMs = performance.now();
    punchHole(fd, 0, mebibytes * 1024 ** 2);
    samples.push(performance.now() - startMs);
    closeSync(fd);
    rmSync(path);
  }
  return [
    explainFigure(
      `output: punching a hole of ${mebibytes} MiB into a file that was just written`,
      "ms",
      summarise(samples),
    ),
  ];
}
