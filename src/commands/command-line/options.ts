import type { ArgsDef } from "citty";

/** Options that several commands share; data only, so that `--version` and `--help` load nothing else. */

export const coordinatorOptions = {
  "coordinator-url": {
    type: "string",
    alias: "c",
    valueHint: "URL",
    description: "Agent Coordinator URL (overrides AGENT_ORCHESTRATOR_API_URL; default http://localhost:8765)",
  },
  config: {
    type: "string",
    valueHint: "FILE",
    description: "Settings file (default: config.toml in your configuration folder)",
  },
} as const satisfies ArgsDef;

const executorOptions = {
  executor: {
    type: "string",
    alias: "x",
    valueHint: "NAME",
    description: "Executor name (e.g. claude-code, test-executor; default claude-code)",
  },
  "executor-path": {
    type: "string",
    alias: "e",
    valueHint: "PATH",
    description: "Full executor script path (overrides AGENT_EXECUTOR_PATH)",
  },
  "executor-list": { type: "boolean", alias: "l", description: "List available executors and exit" },
  "executors-dir": {
    type: "string",
    valueHint: "DIR",
    description: "Folder of own executors (overrides AGENT_EXECUTORS_DIR)",
  },
} as const satisfies ArgsDef;

const runOptions = {
  "project-dir": {
    type: "string",
    alias: "p",
    valueHint: "DIR",
    description: "Default project directory (overrides PROJECT_DIR; default: current folder)",
  },
  tags: {
    type: "string",
    alias: "t",
    valueHint: "A,B",
    description: "Tags of this runner, which runs may demand (overrides RUNNER_TAGS)",
  },
  "max-concurrent": { type: "string", valueHint: "N", description: "Runs at the same time (default 32; 0: no limit)" },
  "run-timeout": {
    type: "string",
    valueHint: "TIME",
    description: "End runs that take longer, e.g. 30m (default: never)",
  },
  "drain-timeout": {
    type: "string",
    valueHint: "TIME",
    description: "At shutdown, stop runs that take longer than this to end (default: wait)",
  },
  "max-offline": {
    type: "string",
    valueHint: "TIME",
    description: "Exit when the coordinator is away for longer (default: never)",
  },
  "keep-background": {
    type: "boolean",
    description: "Leave alone what an executor left running when it ended by itself",
  },
  "max-depth": {
    type: "string",
    valueHint: "N",
    description: "Levels of child sessions that agents may start (default 5; 0: no limit)",
  },
  "max-children": {
    type: "string",
    valueHint: "N",
    description: "Child sessions that one session may have (default 100; 0: no limit)",
  },
  "max-tree-runs": {
    type: "string",
    valueHint: "N",
    description: "Runs that one tree of sessions may have (default 1000; 0: no limit)",
  },
  "mcp-port": {
    type: "string",
    alias: "m",
    valueHint: "PORT",
    description:
      "Serve the orchestration tools to agents outside a run on this port of 127.0.0.1, under a token (0: any free port)",
  },
  "external-mcp-url": {
    type: "string",
    valueHint: "URL",
    description: "Have blueprints use this MCP server for orchestration instead of the runner's own",
  },
  "state-dir": {
    type: "string",
    valueHint: "DIR",
    description: "Folder for runs and database (default: your state folder)",
  },
} as const satisfies ArgsDef;

export const metricsOption = {
  metrics: {
    type: "string",
    valueHint: "ADDRESS",
    description: "Serve /metrics, /healthz, /readyz and /status.json there, e.g. 127.0.0.1:9464 (default: nowhere)",
  },
} as const satisfies ArgsDef;

export const logOptions = {
  "log-format": { type: "string", valueHint: "text|json", description: "Form of log lines (default text)" },
  verbose: { type: "boolean", alias: "v", description: "Enable verbose logging" },
} as const satisfies ArgsDef;

export const watchOption = {
  watch: { type: "boolean", description: "Show it again whenever it has changed, until Ctrl+C" },
} as const satisfies ArgsDef;

/** What ends a command before it begins. */
export const commonOptions = {
  help: { type: "boolean", alias: "h", description: "Show this help" },
  version: { type: "boolean", description: "Show version and commit" },
} as const satisfies ArgsDef;

export const listenOptions = {
  host: {
    type: "string",
    valueHint: "ADDRESS",
    description: "Address to listen on (default 127.0.0.1; any other needs a token)",
  },
  port: { type: "string", valueHint: "PORT", description: "Port to listen on (default 8765; 0: any free one)" },
  token: {
    type: "string",
    valueHint: "TOKEN",
    description: "Token that clients must send (better: AGENT_COORDINATOR_TOKEN, which no process list shows)",
  },
  "agents-dir": {
    type: "string",
    valueHint: "DIR",
    description: "Folder of agents as files, NAME/agent.json (overrides AGENT_ORCHESTRATOR_AGENTS_DIR)",
  },
} as const satisfies ArgsDef;

/** Of the coordinator itself. */
export const coordinatorOnlyOptions = {
  callbacks: {
    type: "string",
    valueHint: "together|each",
    description: "When a parent is resumed: all children have ended (together, the default), or each has",
  },
} as const satisfies ArgsDef;

export const runnerOptions = {
  ...coordinatorOptions,
  ...executorOptions,
  ...runOptions,
  ...metricsOption,
  ...logOptions,
} as const satisfies ArgsDef;

const { "coordinator-url": _url, ...withoutUrl } = runnerOptions;
export const upOptions = { ...listenOptions, ...coordinatorOnlyOptions, ...withoutUrl } as const satisfies ArgsDef;

export const jsonOption = {
  json: { type: "boolean", description: "Print JSON instead of a table" },
} as const satisfies ArgsDef;
export const stateDirOption = { "state-dir": runOptions["state-dir"] } as const satisfies ArgsDef;
