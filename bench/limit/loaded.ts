// `loaded WHAT URL`: loads the runner's modules, then sends one request.
// WHAT is `system` (only Node's and Bun's modules) or `runner` (the runner's own modules too).
import { argv } from "node:process";

const [what = "", url = ""] = argv.slice(2);
await (what === "system" ? import("./loaded-system.ts") : import("./loaded-runner.ts"));
await fetch(url);
