import { statSync } from "node:fs";
import { binaryFile } from "../build.ts";
import type { Item } from "./figure.ts";
import { compiledEmpty } from "./limits.ts";
import { single } from "./statistics.ts";

/** How large the program is. */
export const size: Item = {
  name: "size",
  async measure() {
    const ours = mebibytes(binaryFile);
    const empty = mebibytes(await compiledEmpty());
    const limitIs = "an empty compiled Bun program";
    const common = { item: "size", unit: "MiB", better: "lower" } as const;
    return [
      { ...common, what: "the binary", measured: single(ours), limit: single(empty), limitIs, aim: { of: "ratio", bound: 1.05 } },
      { ...common, what: "what is ours in it", measured: single(ours - empty), limit: null },
    ];
  },
};

function mebibytes(file: string): number {
  return statSync(file).size / 1024 ** 2;
}
