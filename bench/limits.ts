import { join } from "node:path";
import { type Built, buildBinary } from "../build.ts";

const folder = join(import.meta.dir, "../dist/bench");

let empty: Promise<Built> | undefined;
let limit: Promise<Built> | undefined;
let packages: Promise<Built> | undefined;
let loaded: Promise<Built> | undefined;

/** An empty program, compiled like agent-runner: the cost of every compiled Bun program. */
export async function compiledEmpty(): Promise<string> {
  empty ??= buildBinary({ outfile: join(folder, "empty"), entrypoint: join(import.meta.dir, "limit/empty.ts") });
  return (await empty).file;
}

/** The program that does the bare work of each limit (`limit/limit.ts`), compiled like agent-runner. */
export async function compiledLimit(): Promise<string> {
  limit ??= buildBinary({ outfile: join(folder, "limit"), entrypoint: join(import.meta.dir, "limit/limit.ts") });
  return (await limit).file;
}

/** A program that contains only the third-party packages of agent-runner. */
export async function compiledPackages(): Promise<string> {
  packages ??= buildBinary({
    outfile: join(folder, "packages"),
    entrypoint: join(import.meta.dir, "limit/packages.ts"),
  });
  return (await packages).file;
}

/** A program that loads the runner's modules and then does the work of `limit fetch` (`limit/loaded.ts`). */
export async function compiledLoaded(): Promise<string> {
  loaded ??= buildBinary({ outfile: join(folder, "loaded"), entrypoint: join(import.meta.dir, "limit/loaded.ts") });
  return (await loaded).file;
}
