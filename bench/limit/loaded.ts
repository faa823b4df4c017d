// `loaded WHAT URL`: what a runner loads before it does anything (`system`: of node's and Bun's modules; `runner`: its own too), then one request.
import { argv } from "node:process";

const [what = "", url = ""] = argv.slice(2);
await (what === "system" ? import("./loaded-system.ts") : import("./loaded-runner.ts"));
await fetch(url);
