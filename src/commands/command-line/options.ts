import type { ArgsDef } from "citty";

/** Options that several commands share. Data only: `--help` loads nothing else. */

export const coordinatorOptions = {
  "coordinator-url": {
    type: "string",
    alias: "c",
    valueHint: "URL",
    description: "URL of the coordinator (overrides AGENT_ORCHESTRATOR_API_URL; default http://localhost:8765)",
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
    description: "Executor by name (default claude-code; --executor-list shows all)",
  },
  "executor-path": {
    type: "string",
    alias: "e",
    valueHint: "PATH",
    description: "Executor by the path of its file (overrides AGENT_EXECUTOR_PATH)",
  },
  "executor-list": { type: "boolean", alias: "l", description: "List the executors and exit" },
  "executors-dir": {
    type: "string",
    valueHint: "DIR",
    description: "Folder of your own executors (overrides AGENT_EXECUTORS_DIR)",
  },
} as const satisfies ArgsDef;

const runOptions = {
  "project-dir": {
    type: "string",
    alias: "p",
    valueHint: "DIR",
    description: "Project directory of runs that name none (overrides PROJECT_DIR; default: current folder)",
  },
  tags: {
    type: "string",
    alias: "t",
    valueHint: "A,B",
    description: "Tags of this runner, which runs can demand (overrides RUNNER_TAGS)",
  },
  "max-concurrent": { type: "string", valueHint: "N", description: "Runs at the same time (default 32; 0: no limit)" },
  "run-timeout": {
    type: "string",
    valueHint: "TIME",
    description: "Stop runs that take longer, e.g. 30m (default: no limit)",
  },
  "drain-timeout": {
    type: "string",
    valueHint: "TIME",
    description: "At shutdown, stop runs that take longer to end (default: wait for all)",
  },
  "abandon-after": {
    type: "string",
    valueHint: "TIME",
    description: "End executors that have had no runner for this time (default 1h; 0: never)",
  },
  "max-offline": {
    type: "string",
    valueHint: "TIME",
    description: "Exit when the coordinator is away for longer (default: wait for it)",
  },
  "keep-background": {
    type: "boolean",
    description: "Keep the leftovers of an executor that ended by itself (default: end them)",
  },
  "max-depth": {
    type: "string",
    valueHint: "N",
    description: "Levels of child sessions that agents may start (default 5; 0: no limit)",
  },
  "max-children": {
    type: "string",
    valueHint: "N",
    description: "Child sessions that one session may start, also deleted ones (default 100; 0: no limit)",
  },
  "max-tree-runs": {
    type: "string",
    valueHint: "N",
    description: "Runs of one tree of sessions, also deleted ones (default 1000; 0: no limit)",
  },
  "mcp-port": {
    type: "string",
    alias: "m",
    valueHint: "PORT",
    description: "Serve the orchestration tools on this port of 127.0.0.1 (0: any free port)",
  },
  "external-mcp-url": {
    type: "string",
    valueHint: "URL",
    description: "MCP server for orchestration, in place of the runner's own",
  },
  "state-dir": {
    type: "string",
    valueHint: "DIR",
    description: "Folder for runs and databases (default: your state folder)",
  },
  "trusted-folders": {
    type: "string",
    valueHint: "A,B",
    description: "Folders to use although other users can write them (overrides AGENT_RUNNER_TRUSTED_FOLDERS)",
  },
} as const satisfies ArgsDef;

export const metricsOption = {
  metrics: {
    type: "string",
    valueHint: "ADDRESS",
    description: "Serve /metrics, /healthz, /readyz and /status.json, e.g. on 127.0.0.1:9464 (default: off)",
  },
} as const satisfies ArgsDef;

export const logOptions = {
  "log-format": { type: "string", valueHint: "text|json", description: "Form of log lines (default text)" },
  verbose: { type: "boolean", alias: "v", description: "Log debug lines and the output of executors" },
} as const satisfies ArgsDef;

export const watchOption = {
  watch: { type: "boolean", description: "Show the list again on each change, until Ctrl+C" },
} as const satisfies ArgsDef;

/** Options that print something and exit. */
export const commonOptions = {
  help: { type: "boolean", alias: "h", description: "Show this help" },
  version: { type: "boolean", description: "Show version and commit" },
} as const satisfies ArgsDef;

export const listenOptions = {
  host: {
    type: "string",
    valueHint: "ADDRESS",
    description: "Address to listen on (default 127.0.0.1; other machines reach any other)",
  },
  port: { type: "string", valueHint: "PORT", description: "Port to listen on (default 8765; 0: any free port)" },
  token: {
    type: "string",
    valueHint: "TOKEN",
    description: "Token that clients must send (better: AGENT_COORDINATOR_TOKEN; default: made in the state folder)",
  },
  "no-token": {
    type: "boolean",
    description: "Let every program of this machine call the coordinator (overrides AGENT_COORDINATOR_NO_TOKEN)",
  },
  "tls-cert": {
    type: "string",
    valueHint: "FILE",
    description: "Serve https with this certificate and its chain (PEM; overrides AGENT_COORDINATOR_TLS_CERT)",
  },
  "tls-key": {
    type: "string",
    valueHint: "FILE",
    description: "The key of the certificate (PEM; overrides AGENT_COORDINATOR_TLS_KEY)",
  },
  "allowed-origins": {
    type: "string",
    valueHint: "A,B",
    description: "Origins whose pages may call the coordinator, e.g. http://localhost:3000 (default: its own)",
  },
  "allowed-hosts": {
    type: "string",
    valueHint: "A,B",
    description: "Host names of the coordinator (default: any with a token, else only localhost and addresses)",
  },
  "agents-dir": {
    type: "string",
    valueHint: "DIR",
    description: "Folder of agents as files, NAME/agent.json (overrides AGENT_ORCHESTRATOR_AGENTS_DIR)",
  },
} as const satisfies ArgsDef;

export const coordinatorOnlyOptions = {
  callbacks: {
    type: "string",
    valueHint: "together|each",
    description: "Resume a parent when all its children have ended, or after each (default together)",
  },
  database: {
    type: "string",
    valueHint: "URL",
    description: "Keep runs and sessions in PostgreSQL: postgres://user@host/database (default: a file)",
  },
  "lost-after": {
    type: "string",
    valueHint: "TIME",
    description: "Give up a runner, and fail its runs, after this time without contact (default 15m; 0: never)",
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
  json: { type: "boolean", description: "Print JSON, for scripts" },
} as const satisfies ArgsDef;
export const stateDirOption = {
  "state-dir": runOptions["state-dir"],
  "trusted-folders": runOptions["trusted-folders"],
} as const satisfies ArgsDef;

export const TIME_NOTE = "TIME is in seconds, or has a unit: 500ms, 30s, 5m, 2h, 30d.";
export const TOKEN_NOTES = [
  "Without --token the coordinator makes a token at its first start: coordinator.token in the state folder.",
  "Your own commands and runners on this machine find it by themselves. For other programs: agent-runner token",
  "Other users see --token in the process list. They do not see AGENT_COORDINATOR_TOKEN.",
  "--no-token is for clients that cannot send a token. Every user of the machine can then run commands as you.",
];
