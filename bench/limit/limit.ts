// `limit WHAT ...`: the minimum for a piece of work, as a separate compiled Bun program.
import { argv } from "node:process";
import { serve } from "./serve.ts";
import { spawnLoop, spawnSleepers } from "./spawn-loop.ts";

const [what = "", ...rest] = argv.slice(2);
switch (what) {
  case "fetch":
    // One pending request, like the poll of an idle runner.
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
    throw new Error(`unknown limit ${what}`);
}
