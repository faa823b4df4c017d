#!/usr/bin/env bun
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { CANNOT_RUN, CannotRunHere } from "../../src/executor-kit/cannot-run.ts";
import { type ExecutorContext, runExecutor } from "../../src/executor-kit/run-executor.ts";
import { writeStderr, writeStdout } from "../../src/executor-kit/write-output.ts";
import { type Ending, endingOf } from "./endings.ts";
import { environmentForClaude } from "./environment.ts";
import { bindOf, closingEvents, eventsOf, NAME, openingEvents } from "./events.ts";
import { faultOfState } from "./config-files.ts";
import { findClaude } from "./find-claude.ts";
import { credentialsIn, mcpServersOf, requiredServersOf } from "./mcp-servers.ts";
import { launchOf } from "./launch.ts";
import { Outbox } from "./outbox.ts";
import { type Allowance, allowanceOf } from "./permissions.ts";
import { pinnedSettings } from "./pinned-settings.ts";
import { runTurn } from "./run-turn.ts";
import { redactor } from "./secrets.ts";
import { type ClaudeSettings, parseSettings } from "./settings.ts";
import type { Turn } from "./turn.ts";
import { userMessage } from "./user-message.ts";
import usage from "./usage.txt" with { type: "text" };

/** A stop leaves 5 s: 4 s for the last events, 1 s to end. */
const LINGER_MS = 4_000;
const MAX_STDERR_CHARACTERS = 4_000;
/** EX_TEMPFAIL of sysexits.h: the coordinator may retry the run, if its creator allows retries. */
const TEMPORARY_FAILURE = 75;

/** Runs one turn of a session with Claude Code. Reads the invocation from stdin; resolves to the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  return await runExecutor({ name: NAME, usage, argv, env: process.env, lingerMs: LINGER_MS, execute });
}

/** The straight line from invocation to result. */
async function execute(context: ExecutorContext): Promise<number> {
  const { invocation, session, signal } = context;
  const settings = settingsOf(invocation.executorConfig);
  const claudePath = pathOfClaude(settings);
  const place = await placeOf(context);
  const mcpServers = mcpServersOf(invocation.agentBlueprint?.mcp_servers, process.env);
  const redact = redactor(process.env, credentialsIn(mcpServers));
  const allowance = allowanceOf(settings.permissionMode, process.env);
  const env = environmentForClaude(process.env);
  const launch = launchOf({
    settings,
    claudePath,
    mcpServers,
    allowance,
    env,
    pinned: pinnedSettings(settings, place.projectDir, env),
    blueprint: invocation.agentBlueprint,
    ...place,
  });

  const outbox = new Outbox(session);
  let stderr = "";
  const writeOnce = onceEach((type) => void writeStderr(`${NAME}: ignored messages of type ${type}\n`));
  const turn = await runTurn({
    message: userMessage(invocation.prompt, settings),
    launch,
    requiredServers: requiredServersOf(invocation.agentBlueprint?.mcp_servers),
    stallTimeoutMs: settings.stallTimeoutMs,
    backgroundWaitMs: settings.backgroundWaitMs,
    signal,
    onStderr: (text) => void (stderr = (stderr + text).slice(-MAX_STDERR_CHARACTERS)),
    onMessage: (message, before) => {
      if (message.kind === "init" && before.sessionId === null) {
        outbox.bind(bindOf(message.sessionId, place.projectDir));
        outbox.send(...openingEvents(invocation));
      }
      outbox.send(...eventsOf(message, before, redact));
      if (message.kind === "other" && settings.debugMessages) writeOnce(message.type);
    },
  });

  const ending = redacted(endingOf(turn, { settings, stderr, otherHost: place.otherHost }), redact);
  const code = exitCodeOf(ending, turn);
  // Another machine executes the run, and opens the turn.
  if (turn.sessionId === null && code !== CANNOT_RUN) outbox.send(...openingEvents(invocation));
  outbox.send(...closingEvents(ending, turn, notesOf(turn, allowance, outbox).map(redact)));
  if (ending.kind !== "success") return await fail(ending.reason, outbox, signal, code);
  await writeStdout(`${ending.text}\n`);
  // Must be the last event, and only on success: it finishes the session.
  outbox.send({ event_type: "session_stop", exit_code: 0, reason: "completed" });
  const refusal = await outbox.flush();
  return refusal === null ? 0 : await fail(`The session refused an event: ${refusal}`, outbox, signal);
}

/** Calls `act` for each text that it has not seen yet. */
function onceEach(act: (text: string) => void): (text: string) => void {
  const seen = new Set<string>();
  return (text) => {
    if (!seen.has(text)) act(text);
    seen.add(text);
  };
}

/** Throws one Error with all faults. */
function settingsOf(table: Readonly<Record<string, unknown>>): ClaudeSettings {
  const parsed = parseSettings(table, process.env);
  if (!parsed.ok) throw new CannotRunHere(`bad settings: ${parsed.faults.join("; ")}`);
  return parsed.settings;
}

function pathOfClaude({ path }: ClaudeSettings): string {
  const claude = findClaude(path, process.env);
  const fault = claude.ok ? faultOfState(process.env) : claude;
  if (fault !== null) throw new CannotRunHere(`${fault.reason}; ${fault.hint}`);
  if (!claude.ok) throw new CannotRunHere(claude.reason);
  return claude.path;
}

interface Place {
  readonly projectDir: string;
  /** Claude Code's id of the session to resume. */
  readonly resume: string | null;
  readonly otherHost: string | null;
}

/**
 * The place of the turn. Claude Code finds a session only in the folder where it began, so a resume uses that folder.
 */
async function placeOf({ invocation, session }: ExecutorContext): Promise<Place> {
  if (invocation.mode === "start")
    return existing({ projectDir: invocation.projectDir ?? process.cwd(), resume: null, otherHost: null });
  const known = await session.session();
  const other = known.executor_type ?? NAME;
  if (other !== NAME)
    throw new Error(`cannot resume session ${invocation.sessionId}: it was executed by ${other}, not by ${NAME}`);
  if (known.executor_session_id === null)
    throw new Error(`cannot resume session ${invocation.sessionId}: Claude Code never started it`);
  const otherHost = known.hostname === hostname() ? null : known.hostname;
  return existing({ projectDir: known.project_dir ?? process.cwd(), resume: known.executor_session_id, otherHost });
}

function existing(place: Place): Place {
  if (!existsSync(place.projectDir))
    throw new Error(`the session's project directory ${place.projectDir} does not exist on this machine`);
  return place;
}

function redacted(ending: Ending, redact: (text: string) => string): Ending {
  return ending.kind === "success" ? ending : { ...ending, reason: redact(ending.reason) };
}

/** Facts about a run besides its ending. */
function notesOf({ unconnected, unreadable }: Turn, allowance: Allowance, { dropped }: Outbox): string[] {
  return [
    allowance === "one-by-one"
      ? "Claude Code may not bypass permissions as root: the executor allowed each tool use"
      : "",
    unconnected.length > 0 ? `MCP servers not connected: ${unconnected.join(", ")}` : "",
    unreadable === null
      ? ""
      : `${unreadable.count} lines of Claude Code were no messages; the first was ${JSON.stringify(unreadable.first)}`,
    dropped > 0 ? `${dropped} tool events were dropped: the coordinator was unreachable for too long` : "",
  ].filter(Boolean);
}

/**
 * Writes the reason to stderr, where it becomes the run's error. After a stop, throws: `runExecutor` sets the exit
 * code.
 */
async function fail(reason: string, outbox: Outbox, signal: AbortSignal, exitCode = 1): Promise<number> {
  await outbox.flush();
  signal.throwIfAborted();
  await writeStderr(`${reason}\n`);
  return exitCode;
}

function exitCodeOf({ kind }: Ending, { hasModelAnswer }: Turn): number {
  switch (kind) {
    case "success":
      return 0;
    case "usage-limit":
    case "provider-unavailable":
      return TEMPORARY_FAILURE;
    case "not-started":
    case "not-logged-in":
      return hasModelAnswer ? 1 : CANNOT_RUN;
    default:
      return 1;
  }
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
