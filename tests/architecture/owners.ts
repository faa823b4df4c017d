export interface Owned {
  readonly what: string;
  /** The API: a module, or a pattern to match in code without comments and strings. */
  readonly api: { readonly module: string } | { readonly code: RegExp };
  /** The files and folders (with a trailing slash) that may use the API. */
  readonly owners: readonly string[];
  readonly reason: string;
}

/**
 * The parts of src that may import from `executors/`, to build them into the binary. All stand above the layers that
 * executors import.
 */
export const KNOW_EXECUTORS: readonly string[] = ["src/main.ts", "src/commands/", "src/catalog/"];

/**
 * Each outside API has an owner. To move an API, edit its entry here: `reason` says what must still hold afterwards.
 */
export const OWNED: readonly Owned[] = [
  {
    what: "Bun.spawn",
    api: { code: /\bBun\.(?:spawn|spawnSync|\$)/ },
    owners: ["src/process/", "executors/"],
    reason: "every child must be in a process group that a stop reaches",
  },
  {
    what: "node:child_process",
    api: { module: "node:child_process" },
    owners: ["executors/"],
    reason: "one place starts children, with Bun.spawn",
  },
  {
    what: "bun:ffi",
    api: { module: "bun:ffi" },
    owners: ["src/process/"],
    reason: "a wrong signature crashes the whole program, so one folder makes system calls",
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
    what: "Bun.SQL",
    api: { code: /\bBun\.(?:SQL|sql)\b|\bimport\s[^;]*\bSQL\b[^;]*\bfrom\b/ },
    owners: ["src/coordinator/store/postgres/"],
    reason: "whether a statement can be repeated after a lost connection is decided in one place",
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
    reason: "pids are reused: check the start time before a signal, unless the parent has not reaped the child yet",
  },
  {
    what: "stdout and stderr",
    api: {
      code: new RegExp(
        [
          /\bBun\.(?:stdout|stderr)\b/,
          /\bprocess\.(?:stdout|stderr)\.(?:write|end|cork)\b/,
          /\bconsole\.\w/,
          /\bwriteSync\s*\(\s*[12]\b/,
        ]
          .map(({ source }) => source)
          .join("|"),
      ),
    },
    owners: [
      "src/main.ts",
      "src/executor-kit/write-output.ts",
      "src/process/environment/become.ts",
      "src/dashboard/",
      "executors/examples/",
    ],
    reason: "text of agents must not control a terminal, so one writer (src/commands/terminal/output.ts) cleans it all",
  },
  {
    what: "draw",
    api: { code: /\.draw\b/ },
    owners: [
      "src/main.ts",
      "src/commands/terminal/output.ts",
      "src/commands/terminal/watch.ts",
      "src/commands/top/terminal-screen.ts",
      "src/commands/program-context.ts",
      "src/commands/run-command-line.ts",
      "src/commands/wiring/run-runner.ts",
    ],
    reason: "draw writes as it is: its callers clean what comes from outside, and add this program's own sequences",
  },
  {
    what: "consola",
    api: { module: "consola" },
    owners: ["src/log.ts"],
    reason: "every line of the log has one form",
  },
  {
    what: "citty",
    api: { module: "citty" },
    owners: ["src/commands/", "src/main.ts"],
    reason: "one place turns arguments into a command",
  },
  {
    what: "preact",
    api: { module: "preact" },
    owners: ["src/dashboard/"],
    reason: "only the dashboard runs in a browser",
  },
  {
    what: "prom-client",
    api: { module: "prom-client" },
    owners: ["src/telemetry/"],
    reason: "other parts count through an observer, and a runner without metrics does not even load the library",
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
      "a setting that is read elsewhere is missing from --help and the settings file; an executor is its own program",
  },
  {
    what: "process.exit",
    api: { code: /\bprocess\.(?:exit|reallyExit|abort)\s*\(/ },
    owners: ["src/main.ts"],
    reason: "an exit elsewhere loses reports and output in flight",
  },
  {
    what: "ofetch",
    api: { module: "ofetch" },
    owners: ["src/client/", "src/gateway/", "src/executor-kit/"],
    reason: "the code that sends a request decides whether and how long to retry it",
  },
  {
    what: "fetch",
    // Matches a call, but not a method of this name, such as the handler of Bun.serve: `fetch(request) {`.
    api: { code: /(?<![.\w$#])fetch\s*\((?![^()]*\)\s*(?::[^{=;]+)?\{)|\bglobalThis\.fetch\b/ },
    // The examples show executors without any code of this project.
    owners: ["src/client/", "src/gateway/", "src/executor-kit/", "src/dashboard/api.ts", "executors/examples/"],
    reason: "the code that sends a request decides whether and how long to retry it",
  },
];
