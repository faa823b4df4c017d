import * as v from "valibot";
import {
  Address,
  Age,
  Duration,
  Flag,
  HttpUrl,
  List,
  Origins,
  Path,
  PathOrName,
  Seconds,
  Secret,
  Size,
  Text,
  wholeNumber,
} from "./values.ts";

/** The sources of a setting. `file` is its dotted path in the TOML file. */
interface Sources<Value> {
  readonly flag?: string;
  readonly env?: string;
  readonly file?: string;
  readonly default?: Readonly<Value>;
}

function setting<const S extends v.GenericSchema, const F extends Sources<v.InferOutput<S>>>(
  schema: S,
  from: F,
): { schema: S } & F {
  return { schema, ...from };
}

/** Every setting of the program. A setting without a default is `undefined` if it is not set. */
export const SETTINGS = {
  coordinatorUrl: setting(HttpUrl, {
    flag: "coordinator-url",
    env: "AGENT_ORCHESTRATOR_API_URL",
    file: "coordinator.url",
    default: "http://localhost:8765",
  }),
  coordinatorToken: setting(Secret, { flag: "token", env: "AGENT_COORDINATOR_TOKEN", file: "coordinator.token" }),
  noToken: setting(Flag, {
    flag: "no-token",
    env: "AGENT_COORDINATOR_NO_TOKEN",
    file: "coordinator.no_token",
    default: false,
  }),
  host: setting(Text, { flag: "host", env: "AGENT_COORDINATOR_HOST", file: "coordinator.host", default: "127.0.0.1" }),
  port: setting(wholeNumber(0, 65535), {
    flag: "port",
    env: "AGENT_COORDINATOR_PORT",
    file: "coordinator.port",
    default: 8765,
  }),
  tlsCert: setting(Path, { flag: "tls-cert", env: "AGENT_COORDINATOR_TLS_CERT", file: "coordinator.tls_cert" }),
  tlsKey: setting(Path, { flag: "tls-key", env: "AGENT_COORDINATOR_TLS_KEY", file: "coordinator.tls_key" }),
  allowedOrigins: setting(Origins, {
    flag: "allowed-origins",
    env: "AGENT_COORDINATOR_ALLOWED_ORIGINS",
    file: "coordinator.allowed_origins",
  }),
  allowedHosts: setting(List, {
    flag: "allowed-hosts",
    env: "AGENT_COORDINATOR_ALLOWED_HOSTS",
    file: "coordinator.allowed_hosts",
  }),
  callbacks: setting(v.picklist(["together", "each"], 'must be "together" or "each"'), {
    flag: "callbacks",
    env: "AGENT_COORDINATOR_CALLBACKS",
    file: "coordinator.callbacks",
    default: "together",
  }),
  agentsDir: setting(Path, {
    flag: "agents-dir",
    env: "AGENT_ORCHESTRATOR_AGENTS_DIR",
    file: "coordinator.agents_dir",
  }),
  lostAfterMs: setting(Duration, {
    flag: "lost-after",
    env: "AGENT_COORDINATOR_LOST_AFTER",
    file: "coordinator.lost_after",
    default: 15 * 60_000,
  }),
  database: setting(Secret, {
    flag: "database",
    env: "AGENT_COORDINATOR_DATABASE",
    file: "coordinator.database",
  }),
  durability: setting(v.picklist(["disk", "process"], 'must be "disk" or "process"'), {
    env: "AGENT_COORDINATOR_DURABILITY",
    file: "coordinator.durability",
    default: "disk",
  }),
  coordinatorKeepMs: setting(Age, {
    env: "AGENT_COORDINATOR_RETENTION",
    file: "coordinator.retention",
    default: 90 * 86_400_000,
  }),
  eventsLimitBytes: setting(Size, {
    env: "AGENT_COORDINATOR_EVENTS_LIMIT",
    file: "coordinator.events_limit",
    default: 64 * 1024 * 1024,
  }),
  executor: setting(Text, { flag: "executor", file: "executor.name" }),
  executorPath: setting(PathOrName, { flag: "executor-path", env: "AGENT_EXECUTOR_PATH", file: "executor.path" }),
  executorsDir: setting(Path, { flag: "executors-dir", env: "AGENT_EXECUTORS_DIR", file: "executor.dir" }),
  invocationSchema: setting(v.picklist(["auto", "2.0", "2.2"], "must be auto, 2.0 or 2.2"), {
    env: "AGENT_INVOCATION_SCHEMA",
    file: "executor.invocation_schema",
    default: "auto",
  }),
  projectDir: setting(Path, { flag: "project-dir", env: "PROJECT_DIR", file: "runner.project_dir" }),
  tags: setting(List, { flag: "tags", env: "RUNNER_TAGS", file: "runner.tags", default: [] }),
  maxConcurrent: setting(wholeNumber(0), {
    flag: "max-concurrent",
    env: "RUNNER_MAX_CONCURRENT",
    file: "runner.max_concurrent",
    default: 32,
  }),
  runTimeoutMs: setting(Duration, {
    flag: "run-timeout",
    env: "RUNNER_RUN_TIMEOUT",
    file: "runner.run_timeout",
    default: 0,
  }),
  drainTimeoutMs: setting(Duration, {
    flag: "drain-timeout",
    env: "RUNNER_DRAIN_TIMEOUT",
    file: "runner.drain_timeout",
    default: 0,
  }),
  abandonAfterMs: setting(Duration, {
    flag: "abandon-after",
    env: "RUNNER_ABANDON_AFTER",
    file: "runner.abandon_after",
    default: 3_600_000,
  }),
  maxOfflineMs: setting(Duration, {
    flag: "max-offline",
    env: "RUNNER_MAX_OFFLINE",
    file: "runner.max_offline",
    default: 0,
  }),
  keepBackground: setting(Flag, {
    flag: "keep-background",
    env: "RUNNER_KEEP_BACKGROUND",
    file: "runner.keep_background",
    default: false,
  }),
  outputLimitBytes: setting(Size, {
    env: "RUNNER_OUTPUT_LIMIT",
    file: "runner.output_limit",
    default: 64 * 1024 * 1024,
  }),
  pollTimeoutSeconds: setting(Seconds, { env: "POLL_TIMEOUT", file: "runner.poll_timeout" }),
  heartbeatIntervalSeconds: setting(Seconds, { env: "HEARTBEAT_INTERVAL", file: "runner.heartbeat_interval" }),
  gatewayScope: setting(v.picklist(["tree", "coordinator"], 'must be "tree" or "coordinator"'), {
    env: "RUNNER_GATEWAY_SCOPE",
    file: "gateway.scope",
    default: "tree",
  }),
  maxDepth: setting(wholeNumber(0), {
    flag: "max-depth",
    env: "RUNNER_MAX_DEPTH",
    file: "limits.max_depth",
    default: 5,
  }),
  maxChildren: setting(wholeNumber(0), {
    flag: "max-children",
    env: "RUNNER_MAX_CHILDREN",
    file: "limits.max_children",
    default: 100,
  }),
  maxTreeRuns: setting(wholeNumber(0), {
    flag: "max-tree-runs",
    env: "RUNNER_MAX_TREE_RUNS",
    file: "limits.max_tree_runs",
    default: 1000,
  }),
  childAttempts: setting(wholeNumber(1, 100), {
    env: "RUNNER_MAX_ATTEMPTS",
    file: "limits.max_attempts",
    default: 1,
  }),
  childrenAnywhere: setting(Flag, {
    env: "RUNNER_CHILDREN_ANYWHERE",
    file: "limits.children_anywhere",
    default: false,
  }),
  mcpPort: setting(wholeNumber(0, 65535), { flag: "mcp-port", env: "RUNNER_MCP_PORT", file: "mcp.port" }),
  mcpToken: setting(v.pipe(Secret, v.minLength(16, "must have at least 16 characters")), {
    env: "AGENT_RUNNER_MCP_TOKEN",
    file: "mcp.token",
  }),
  externalMcpUrl: setting(HttpUrl, {
    flag: "external-mcp-url",
    env: "RUNNER_EXTERNAL_MCP_URL",
    file: "mcp.external_url",
  }),
  verbose: setting(Flag, { flag: "verbose", file: "log.verbose", default: false }),
  logFormat: setting(v.picklist(["text", "json"], "must be text or json"), {
    flag: "log-format",
    env: "RUNNER_LOG_FORMAT",
    file: "log.format",
    default: "text",
  }),
  metrics: setting(Address, { flag: "metrics", env: "RUNNER_METRICS", file: "metrics.listen" }),
  // Not in the settings file: whether that can be trusted depends on it.
  trustedFolders: setting(List, { flag: "trusted-folders", env: "AGENT_RUNNER_TRUSTED_FOLDERS", default: [] }),
  stateDir: setting(Path, { flag: "state-dir", env: "AGENT_RUNNER_STATE_DIR", file: "state_dir" }),
  retentionMaxAgeMs: setting(Age, { file: "retention.max_age", default: 30 * 86_400_000 }),
  retentionMaxBytes: setting(Size, { file: "retention.max_size", default: 2 * 1024 ** 3 }),
  retentionMaxRuns: setting(wholeNumber(0), { file: "retention.max_runs", default: 1000 }),
  auth0Domain: setting(v.string(), { env: "AUTH0_DOMAIN", file: "auth0.domain" }),
  auth0ClientId: setting(v.string(), { env: "AUTH0_RUNNER_CLIENT_ID", file: "auth0.client_id" }),
  auth0ClientSecret: setting(Secret, { env: "AUTH0_RUNNER_CLIENT_SECRET", file: "auth0.client_secret" }),
  auth0Audience: setting(v.string(), { env: "AUTH0_AUDIENCE", file: "auth0.audience" }),
} as const;

export type SettingName = keyof typeof SETTINGS;

type Value<N extends SettingName> = Readonly<v.InferOutput<(typeof SETTINGS)[N]["schema"]>>;

/** The parsed values. A setting with a default is never undefined. */
export type Settings = {
  readonly [N in SettingName]: (typeof SETTINGS)[N] extends { readonly default: unknown }
    ? Value<N>
    : Value<N> | undefined;
};
