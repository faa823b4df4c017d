export interface Owned {
  readonly what: string;
  /** The API: a module, or a pattern looked for in code without its comments and strings. */
  readonly api: { readonly module: string } | { readonly code: RegExp };
  /** Files, or folders with a slash at the end, that may use it. */
  readonly owners: readonly string[];
  readonly reason: string;
}

/** The parts of src that may import from `executors/`, because they build them into the binary: all above what executors import. */
export const KNOW_EXECUTORS: readonly string[] = ["src/main.ts", "src/commands/", "src/catalog/"];

/** Each outside API has one owner. To move an API, edit its line here; the reason says what must still be true afterwards. */
export const OWNED: readonly Owned[] = [
  {
    what: "Bun.spawn",
    api: { code: /\bBun\.(?:spawn|spawnSync|\$)/ },
    owners: ["src/process/", "executors/"],
    reason: "every child must be in a group that a stop reaches",
  },
  {
    what: "node:child_process",
    api: { module: "node:child_process" },
    owners: ["executors/"],
    reason: "children are started with Bun.spawn, in one place",
  },
  {
    what: "bun:ffi",
    api: { module: "bun:ffi" },
    owners: ["src/process/"],
    reason: "a wrong signature ends the whole program, so system calls are made in one folder",
  },
  {
    what: "bun:sqlite",
    api: { module: "bun:sqlite" },
    owners: ["src/coordinator/", "src/runner/", "src/process/", "src/local-time.ts"],
    reason:
      "the coordinator's store, the runner's journal and its lock are the only databases; " +
      "local-time.ts uses an empty one as a clock",
  },
  {
    what: "process.kill",
    api: { code: /\bprocess\.kill\b/ },
    owners: [
      "src/process/process-table.ts",
      "src/process/spawn.ts",
      "src/process/adopt.ts",
      "src/commands/handover.ts",
      "executors/",
    ],
    reason:
      "a pid is signalled only after its start time was checked (or by the parent that has not reaped it): others are given it in time",
  },
  {
    what: "consola",
    api: { module: "consola" },
    owners: ["src/log.ts"],
    reason: "one form for every line of the log",
  },
  {
    what: "citty",
    api: { module: "citty" },
    owners: ["src/commands/", "src/main.ts"],
    reason: "what was typed becomes a command in one place",
  },
  {
    what: "preact",
    api: { module: "preact" },
    owners: ["src/dashboard/"],
    reason: "what draws the page is for the browser only",
  },
  {
    what: "prom-client",
    api: { module: "prom-client" },
    owners: ["src/telemetry/"],
    reason: "what is counted is told to an observer; a runner that nobody watches does not even load it",
  },
  {
    what: "OpenTelemetry",
    api: { module: "@opentelemetry" },
    owners: ["src/telemetry/"],
    reason: "as prom-client",
  },
  {
    what: "process.env",
    api: { code: /\b(?:process|Bun|import\.meta)\.env\b/ },
    owners: ["src/config/", "executors/"],
    reason:
      "a setting that is read elsewhere is not in --help and not in the file; an executor is a program of its own",
  },
  {
    what: "process.exit",
    api: { code: /\bprocess\.(?:exit|reallyExit|abort)\s*\(/ },
    owners: ["src/main.ts"],
    reason: "reports and output that are still on their way would be lost",
  },
  {
    what: "ofetch",
    api: { module: "ofetch" },
    owners: ["src/client/", "src/gateway/", "src/executor-kit/"],
    reason: "what may be repeated, and for how long, is decided where the requests are made",
  },
  {
    what: "fetch",
    // A call, and not a method of this name: `fetch(request) {` is how Bun.serve's handler is written.
    api: { code: /(?<![.\w$#])fetch\s*\((?![^()]*\)\s*(?::[^{=;]+)?\{)|\bglobalThis\.fetch\b/ },
    // The examples show executors that use nothing of ours.
    owners: ["src/client/", "src/gateway/", "src/executor-kit/", "src/dashboard/api.ts", "executors/examples/"],
    reason: "what may be repeated, and for how long, is decided where the requests are made",
  },
];
