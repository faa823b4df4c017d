import { statSync } from "node:fs";
import { binaryFile } from "../build.ts";
import type { Item } from "./figure.ts";
import { compiledEmpty, compiledPackages } from "./limits.ts";
import { single } from "./statistics.ts";

/** The size of the binary. */
export const size: Item = {
  name: "size",
  async measure() {
    const empty = mebibytes(await compiledEmpty());
    const packages = mebibytes(await compiledPackages()) - empty;
    const ours = mebibytes(binaryFile);
    const common = { item: "size", unit: "MiB", better: "lower" } as const;
    const limitIs = "an empty compiled Bun program";
    return [
      {
        ...common,
        what: "the binary without its packages",
        measured: single(ours - packages),
        limit: single(empty),
        limitIs,
        aim: { of: "ratio", bound: 1.05 },
      },
      {
        ...common,
        what: "the packages (MCP, telemetry and others)",
        measured: single(packages),
        limit: null,
      },
    ];
  },
};

function mebibytes(file: string): number {
  return statSync(file).size / 1024 ** 2;
}
