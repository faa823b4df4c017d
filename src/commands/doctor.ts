import { accessSync, constants, existsSync, statSync } from "node:fs";
import { loadConfig, type Config } from "../config/load-config.ts";
import { checkDatabase, DAMAGE_REMEDY } from "../coordinator/store/check-database.ts";
import { describeError, ExitCode, UserError } from "../errors.ts";
import { flagArg } from "./command-line/arguments.ts";
import type { Command, CommandContext } from "./command-line/command.ts";
import { connect } from "./wiring/connect.ts";
import { describeMs } from "../async/describe-ms.ts";
import { folderBytes } from "../process/folder-bytes.ts";
import { commonOptions, jsonOption, runnerOptions } from "./command-line/options.ts";
import { databaseFile, makeStateFolder } from "./wiring/state-folder.ts";
import { isLoopback } from "../protocol/loopback.ts";
import { locksFolder } from "../runner/identity-lock.ts";
import { unattendedExecutors } from "../runner/unattended.ts";
import { restartLine } from "./wiring/restart-words.ts";
import { catalogOptions, resolveExecutor } from "./wiring/resolve-executor.ts";
import { listExecutors } from "../catalog/list-executors.ts";
import { shownUrl } from "../protocol/shown-url.ts";

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly found: string;
  /** What to do about a fault, or, if `ok`, about something to know. */
  readonly hint?: string;
}

const { "executor-list": _list, ...checkedOptions } = runnerOptions;

export const doctorCommand: Command = {
  name: "doctor",
  description: "Checks whether a runner with these options would work here.",
  args: { ...checkedOptions, ...jsonOption, ...commonOptions },
  notes: [
    "Checks the coordinator and its clock, the executor, the project directory and the state folder.",
    "A coordinator's database in the state folder is checked for damage.",
    "Lists the executors that have no runner, each with the command that adopts it.",
    "The exit code is 1 if a check fails.",
  ],
  examples: [
    ["agent-runner doctor", "Check a runner without options"],
    ["agent-runner doctor -x test-executor -c http://coordinator:8765", "Check a runner with these options"],
    ["agent-runner doctor --json", "A JSON array of the checks, for scripts"],
  ],
  async run(args, context) {
    const config = loadConfig(args, context.env);
    const coordinator = await coordinatorChecks(config, context);
    const checks = [
      ...coordinator,
      executorCheck(config, context),
      folderCheck(
        "project directory",
        config.projectDir,
        "Name an existing folder that you can write with --project-dir",
      ),
      await stateCheck(config),
      ...databaseChecks(config, coordinator[0]),
      ...(await unattendedChecks(config, context)),
    ];
    if (flagArg(args, "json")) context.print(JSON.stringify(checks, null, 2));
    else for (const check of checks) context.print(describe(check));
    return checks.every((check) => check.ok) ? ExitCode.ok : ExitCode.failed;
  },
};

function describe({ name, ok, found, hint }: Check): string {
  const mark = !ok ? "FAULT" : hint === undefined ? "ok   " : "NOTE ";
  return `${mark} ${name}: ${found}${hint === undefined ? "" : `\n      ${hint.replaceAll("\n", "\n      ")}`}`;
}

const MAX_CLOCK_DIFFERENCE_MS = 5_000;

async function coordinatorChecks(config: Config, context: CommandContext): Promise<Check[]> {
  const { client, ask } = connect(config, context);
  try {
    const { clockAheadMs } = await ask(client.probe());
    await ask(client.runners());
    const coordinator = { name: "coordinator", ok: true, found: `${shownUrl(config.coordinatorUrl)} is healthy` };
    if (clockAheadMs === null)
      return [coordinator, { name: "clock", ok: true, found: "not checked: the coordinator sends no time" }];
    const seconds = Math.round(Math.abs(clockAheadMs) / 1000);
    const isNear = Math.abs(clockAheadMs) <= MAX_CLOCK_DIFFERENCE_MS;
    const found = isNear
      ? "agrees with the coordinator's"
      : `${seconds} s ${clockAheadMs > 0 ? "behind" : "ahead of"} the coordinator's`;
    const hint = isNear ? {} : { hint: "Correct the wrong clock of the two (NTP)" };
    return [coordinator, { name: "clock", ok: isNear, found, ...hint }];
  } catch (error) {
    const hint = error instanceof UserError ? error.hint : undefined;
    return [{ name: "coordinator", ok: false, found: describeError(error), ...(hint === undefined ? {} : { hint }) }];
  }
}

function executorCheck(config: Config, context: CommandContext): Check {
  try {
    const { executor, note } = resolveExecutor(config, context.env);
    const found = `${executor.name} (${executor.path ?? executor.origin}) can run${note === null ? "" : `: ${note}`}`;
    return { name: "executor", ok: true, found };
  } catch (error) {
    const hint = error instanceof UserError ? error.hint : undefined;
    const ready = listExecutors(catalogOptions(config, context.env))
      .filter(({ readiness, shadowedBy }) => readiness.ok && shadowedBy === null)
      .map(({ name }) => name)
      .join(", ");
    return {
      name: "executor",
      ok: false,
      found: describeError(error),
      hint: [hint, `Ready: ${ready}`].filter(Boolean).join(". "),
    };
  }
}

function folderCheck(name: string, path: string, hint: string): Check {
  try {
    if (!statSync(path).isDirectory()) return { name, ok: false, found: `${path} is not a folder`, hint };
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    return { name, ok: true, found: path };
  } catch (error) {
    return { name, ok: false, found: describeError(error), hint };
  }
}

async function stateCheck(config: Config): Promise<Check> {
  const { stateDir } = config;
  const hint = "Name a folder that you can write with --state-dir";
  try {
    makeStateFolder(config);
  } catch (error) {
    const how = error instanceof UserError ? (error.hint ?? hint) : hint;
    return { name: "state folder", ok: false, found: describeError(error), hint: how };
  }
  const check = folderCheck("state folder", stateDir, hint);
  const isOpen = process.platform !== "win32" && (statSync(stateDir).mode & 0o077) !== 0;
  if (check.ok && !isOpen) return { ...check, found: `${stateDir} (${describeBytes(await folderBytes(stateDir))})` };
  if (!check.ok) return check;
  return {
    name: "state folder",
    ok: false,
    found: `other users can read ${stateDir}`,
    hint: `chmod 700 ${stateDir}`,
  };
}

/** None on a machine without a coordinator of its own. `coordinator` is the check of the configured one. */
function databaseChecks({ stateDir, coordinatorUrl }: Config, coordinator: Check | undefined): Check[] {
  const path = databaseFile(stateDir);
  if (!existsSync(path)) return [];
  const name = "database";
  const finding = checkDatabase(path);
  switch (finding.kind) {
    case "sound":
      return [{ name, ok: true, found: `${path} is not damaged` }];
    case "damaged":
      return [{ name, ok: false, found: `${path} is damaged: ${finding.what}`, hint: DAMAGE_REMEDY }];
    case "unchecked": {
      if (!finding.busy) {
        const hint = "Check the disk, and the permissions of the file";
        return [{ name, ok: false, found: `${path} cannot be checked: ${finding.why}`, hint }];
      }
      // Its coordinator has checked it, and says at /health what is wrong.
      const found = `${path} is in use by a coordinator`;
      const isAsked = coordinator !== undefined && isLoopback(new URL(coordinatorUrl).hostname);
      if (!isAsked) return [{ name, ok: true, found: `${found}, which checks it itself` }];
      return [{ name, ok: coordinator.ok, found: `${found}: ${coordinator.found}` }];
    }
  }
}

async function unattendedChecks(config: Config, context: CommandContext): Promise<Check[]> {
  const name = "executors without a runner";
  const executors = await unattendedExecutors(config.stateDir, locksFolder(config));
  if (executors.length === 0) return [{ name, ok: true, found: "none" }];
  return executors.map(({ runId, pid, ageMs, projectDir, runner }) => ({
    name,
    ok: true,
    found: [`run ${runId} (pid ${pid})`, `running for ${describeMs(ageMs)}`, ...place(projectDir)].join(", "),
    hint: [
      ...(runner === null ? [] : [`Adopt it with: ${restartLine(context.program(), runner)}`]),
      `End it with: kill -- -${pid}`,
    ].join("\n"),
  }));
}

function place(projectDir: string | null): string[] {
  return projectDir === null ? [] : [`in ${projectDir}`];
}

/** `640 KiB`, `12.3 MiB`, `1.9 GiB`. */
function describeBytes(bytes: number): string {
  if (bytes < 1024 ** 2) return `${Math.ceil(bytes / 1024)} KiB`;
  if (bytes < 1024 ** 3) return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
