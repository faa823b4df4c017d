import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Config, type Flags, loadConfig } from "../../src/config/load-config.ts";
import { SETTINGS } from "../../src/config/settings.ts";
import { Path, PathOrName } from "../../src/config/values.ts";
import { UserError } from "../../src/errors.ts";
import { tempFolder } from "../harness/temp-folder.ts";

/** A user with `toml` as settings file. */
function user(toml?: string): {
  path: string;
  cwd: string;
  file: string;
  load: (flags?: Flags, env?: Record<string, string>) => Config;
} & Disposable {
  const folder = tempFolder();
  const settings = join(folder.path, "settings", "agent-runner");
  const cwd = join(folder.path, "cwd");
  mkdirSync(settings, { recursive: true });
  mkdirSync(cwd);
  const file = join(settings, "config.toml");
  if (toml !== undefined) writeFileSync(file, toml);
  const base = { HOME: folder.path, XDG_CONFIG_HOME: join(folder.path, "settings") };
  return {
    path: folder.path,
    cwd,
    file,
    load: (flags = {}, env = {}) => loadConfig(flags, { ...base, ...env }, cwd),
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

function faultOf(load: () => unknown): UserError {
  try {
    load();
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error("nothing was wrong");
}

test.each([
  {
    kind: "URL",
    key: "coordinatorUrl",
    flag: "coordinator-url",
    env: "AGENT_ORCHESTRATOR_API_URL",
    toml: "[coordinator]\nurl = 'http://file:1/'",
    fromFlag: ["http://flag:1", "http://flag:1"],
    fromEnv: ["http://env:1/", "http://env:1"],
    fromFile: "http://file:1",
    byDefault: "http://localhost:8765",
  },
  {
    kind: "list",
    key: "tags",
    flag: "tags",
    env: "RUNNER_TAGS",
    toml: "[runner]\ntags = ['file']",
    fromFlag: ["a, b", ["a", "b"]],
    fromEnv: ["env", ["env"]],
    fromFile: ["file"],
    byDefault: [],
  },
  {
    kind: "whole number",
    key: "maxConcurrent",
    flag: "max-concurrent",
    env: "RUNNER_MAX_CONCURRENT",
    toml: "[runner]\nmax_concurrent = 3",
    fromFlag: ["1", 1],
    fromEnv: ["2", 2],
    fromFile: 3,
    byDefault: 32,
  },
  {
    kind: "time",
    key: "runTimeoutMs",
    flag: "run-timeout",
    env: "RUNNER_RUN_TIMEOUT",
    toml: "[runner]\nrun_timeout = 3",
    fromFlag: ["1m", 60_000],
    fromEnv: ["2s", 2_000],
    fromFile: 3_000,
    byDefault: 0,
  },
  {
    kind: "boolean",
    key: "keepBackground",
    flag: "keep-background",
    env: "RUNNER_KEEP_BACKGROUND",
    toml: "[runner]\nkeep_background = true",
    fromFlag: [false, false],
    fromEnv: ["no", false],
    fromFile: true,
    byDefault: false,
  },
  {
    kind: "choice",
    key: "logFormat",
    flag: "log-format",
    env: "RUNNER_LOG_FORMAT",
    toml: "[log]\nformat = 'json'",
    fromFlag: ["text", "text"],
    fromEnv: ["text", "text"],
    fromFile: "json",
    byDefault: "text",
  },
  {
    kind: "path",
    key: "projectDir",
    flag: "project-dir",
    env: "PROJECT_DIR",
    toml: "[runner]\nproject_dir = '/file'",
    fromFlag: ["/flag", "/flag"],
    fromEnv: ["/env", "/env"],
    fromFile: "/file",
    byDefault: undefined,
  },
] as const)("loadConfig: flag over environment over file over default, for a $kind", (row) => {
  using person = user(row.toml);
  const key = row.key as keyof Config;
  expect(person.load({ [row.flag]: row.fromFlag[0] }, { [row.env]: row.fromEnv[0] })[key]).toEqual(
    row.fromFlag[1] as never,
  );
  expect(person.load({}, { [row.env]: row.fromEnv[0] })[key]).toEqual(row.fromEnv[1] as never);
  expect(person.load()[key]).toEqual(row.fromFile as never);
  using other = user();
  expect(other.load()[key]).toEqual((row.byDefault ?? other.cwd) as never);
});

test("loadConfig: a size and seconds come from the environment over the file", () => {
  using person = user("[runner]\noutput_limit = '1M'\npoll_timeout = 5");
  expect(person.load()).toMatchObject({ outputLimitBytes: 1024 ** 2, pollTimeoutSeconds: 5 });
  expect(person.load({}, { RUNNER_OUTPUT_LIMIT: "2k", POLL_TIMEOUT: "0.5" })).toMatchObject({
    outputLimitBytes: 2048,
    pollTimeoutSeconds: 0.5,
  });
  using other = user();
  expect(other.load()).toMatchObject({ outputLimitBytes: 64 * 1024 ** 2, pollTimeoutSeconds: undefined });
});

test("loadConfig: an empty variable counts as not set", () => {
  using person = user();
  expect(person.load({}, { RUNNER_MAX_CONCURRENT: "", AGENT_ORCHESTRATOR_API_URL: "" })).toMatchObject({
    maxConcurrent: 32,
    coordinatorUrl: "http://localhost:8765",
  });
});

test("loadConfig: reports all faults at once, each with its source, as a usage error", () => {
  using person = user("[runner]\nmax_concurrent = -1\nmax_concurent = 2\n[log]\nformat = 'xml'");
  const fault = faultOf(() => person.load({ "run-timeout": "soon", port: "70000" }, { POLL_TIMEOUT: "never" }));
  expect(fault.exitCode).toBe(2);
  expect(fault.message.split("\n  ").toSorted()).toEqual(
    [
      "Bad settings:",
      `runner.max_concurent (${person.file}): there is no such setting; did you mean runner.max_concurrent?`,
      `runner.max_concurrent (${person.file}): "-1" is not a whole number of at least 0`,
      `log.format (${person.file}): must be text or json`,
      `--run-timeout: "soon" is not a time; write seconds (90) or a number with a unit (30s, 5m, 2h)`,
      `--port: "70000" is not a whole number from 0 to 65535`,
      `POLL_TIMEOUT (environment): "never" is not a time; write seconds (90) or a number with a unit (30s, 5m, 2h)`,
    ].toSorted(),
  );
});

test("loadConfig: one fault is one line", () => {
  using person = user();
  expect(faultOf(() => person.load({ "max-concurrent": "many" })).message).toBe(
    'Bad setting: --max-concurrent: "many" is not a whole number of at least 0',
  );
});

test("loadConfig: a file in the current folder is never read", () => {
  using person = user();
  for (const name of ["config.toml", "agent-runner.toml", ".env", "bunfig.toml"]) {
    writeFileSync(join(person.cwd, name), "[runner]\nmax_concurrent = 1\nRUNNER_MAX_CONCURRENT=1\n");
  }
  expect(person.load()).toMatchObject({ maxConcurrent: 32, configFile: null });
});

test("loadConfig: --config replaces the user's file, and is relative to the current folder", () => {
  using person = user("[runner]\nmax_concurrent = 1");
  writeFileSync(join(person.cwd, "mine.toml"), "[runner]\nmax_concurrent = 9");
  expect(person.load({ config: "mine.toml" })).toMatchObject({
    maxConcurrent: 9,
    configFile: join(person.cwd, "mine.toml"),
  });
  expect(faultOf(() => person.load({ config: "gone.toml" })).message).toContain(
    `--config: ${join(person.cwd, "gone.toml")} does not exist`,
  );
});

test("loadConfig: a file that is not TOML is a fault with the file's path", () => {
  using person = user("[runner\nmax_concurrent = ");
  expect(faultOf(() => person.load()).message).toContain(person.file);
});

test("loadConfig: three of the four AUTH0 values turn authentication off and warn of the missing one", () => {
  using person = user();
  const env = { AUTH0_DOMAIN: "d", AUTH0_RUNNER_CLIENT_ID: "i", AUTH0_AUDIENCE: "a" };
  const config = person.load({}, env);
  expect(config.credentials).toBeNull();
  expect(config.warnings).toEqual([expect.stringContaining("AUTH0_RUNNER_CLIENT_SECRET not set")]);
  expect(config.warnings[0]).not.toContain("AUTH0_DOMAIN");
  expect(person.load({}, { ...env, AUTH0_RUNNER_CLIENT_SECRET: "" }).warnings).toHaveLength(1);
});

test("loadConfig: no warning for all four AUTH0 values, nor for none", () => {
  using person = user();
  const env = { AUTH0_DOMAIN: "d", AUTH0_RUNNER_CLIENT_ID: "i", AUTH0_RUNNER_CLIENT_SECRET: "s", AUTH0_AUDIENCE: "a" };
  expect(person.load({}, env)).toMatchObject({
    credentials: { domain: "d", clientId: "i", clientSecret: "s", audience: "a" },
    warnings: [],
  });
  expect(person.load()).toMatchObject({ credentials: null, warnings: [] });
});

test("loadConfig: -x beats AGENT_EXECUTOR_PATH, which beats the file's executor", () => {
  using person = user("[executor]\nname = 'from-file'");
  const env = { AGENT_EXECUTOR_PATH: "/x/ao-x-exec" };
  expect(person.load({ executor: "typed" }, env)).toMatchObject({ executor: "typed", executorPath: undefined });
  expect(person.load({}, env)).toMatchObject({ executor: undefined, executorPath: "/x/ao-x-exec" });
  expect(person.load({ "executor-path": "/typed" }, env)).toMatchObject({
    executor: undefined,
    executorPath: "/typed",
  });
  expect(person.load()).toMatchObject({ executor: "from-file", executorPath: undefined });
});

test("loadConfig: paths are absolute and the result is frozen", () => {
  using person = user();
  const config = person.load({ "project-dir": "work", "state-dir": "state", "executors-dir": "own" });
  expect(config).toMatchObject({
    projectDir: join(person.cwd, "work"),
    stateDir: join(person.cwd, "state"),
    executorsDir: join(person.cwd, "own"),
  });
  expect(Object.isFrozen(config)).toBe(true);
});

test("loadConfig: [retention] limits the run folders; by default to 30 days, 2 GiB and 1,000 runs", () => {
  using silent = user();
  using outspoken = user("[retention]\nmax_age = '90d'\nmax_size = '500MiB'\nmax_runs = 0");
  expect(silent.load().retention).toEqual({ maxAgeMs: 30 * 86_400_000, maxBytes: 2 * 1024 ** 3, maxRuns: 1000 });
  expect(outspoken.load().retention).toEqual({ maxAgeMs: 90 * 86_400_000, maxBytes: 500 * 1024 ** 2, maxRuns: 0 });
});

test("loadConfig: keeps the tables of executors unchanged, by name", () => {
  using person = user(
    "[executors.claude-code]\nmodel = 'm'\nallowed_tools = ['a', 'b']\n" +
      "[executors.mine]\ndeep = { er = 1 }\n[log]\nverbose = true",
  );
  expect(person.load()).toMatchObject({
    verbose: true,
    executors: { "claude-code": { model: "m", allowed_tools: ["a", "b"] }, mine: { deep: { er: 1 } } },
  });
  using other = user();
  expect(other.load().executors).toEqual({});
});

test.each(["executors = 'claude-code'", "[executors]\nmodel = 'm'"])(
  "loadConfig: %j is no table for an executor",
  (toml) => {
    using person = user(toml);
    expect(faultOf(() => person.load()).message).toMatch(
      /^Bad setting: executors(\.model)? \(.*\): must be a table: \[executors\.<name/,
    );
  },
);

const PATH_SETTINGS = Object.entries(SETTINGS).filter(([, { schema }]) => schema === Path || schema === PathOrName);

test.each(PATH_SETTINGS.map(([name, setting]) => [name, "file" in setting ? setting.file : ""] as const))(
  "%s: ~ is the home folder",
  (name, key) => {
    const [table, ...rest] = key.split(".");
    const entry = rest.length === 0 ? `${table} = "~/proj"` : `[${table}]\n${rest.join(".")} = "~/proj"`;
    using at = user(entry);
    expect(at.load()[name as "projectDir"]).toBe(join(at.path, "proj"));
    using plain = user();
    const flag = SETTINGS[name as "projectDir"].flag;
    expect(plain.load({ [flag]: "~" })[name as "projectDir"]).toBe(plain.path);
    expect(faultOf(() => plain.load({ [flag]: "~bob/proj" })).message).toContain("another user's");
  },
);

test("a path: .. and a slash at the end go away; --config takes ~ too", () => {
  using at = user("[runner]\nproject_dir = 'x/../y/'");
  expect(at.load().projectDir).toBe(join(at.cwd, "y"));
  expect(at.load({ config: "~/settings/agent-runner/config.toml" }).configFile).toBe(at.file);
});
