// `limit WHAT ...`: the least that the machine can do for a piece of work, as a compiled Bun program of its own.
import { argv } from "node:process";
import { serve } from "./serve.ts";
import { spawnLoop, spawnSleepers } from "./spawn-loop.ts";

const [what = "", ...rest] = argv.slice(2);
switch (what) {
  case "fetch":
    // One request that is not answered, as a runner that waits has one.
    await fetch(rest[0] ?? "");
    break;
  case "serve":
    serve(rest[0] ?? "");
    break;
  case "loop":
    await spawnLoop(Number(rest[0]), Number(rest[1]), rest[2] ?? "", rest[3] ?? "");
    break;
  case "sleepers":
    await spawnSleepers(Number(rest[0]), rest.slice(1));
    break;
  default:
    throw new Error(`no limit ${what}`);
}
