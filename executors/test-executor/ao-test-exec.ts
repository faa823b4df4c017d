#!/usr/bin/env bun
import { hostname } from "node:os";
import { randomHex12 } from "../../src/protocol/identifiers.ts";
import { type ExecutorContext, runExecutor } from "../../src/executor-kit/run-executor.ts";
import { writeStdout } from "../../src/executor-kit/write-output.ts";
import { obey, type Turn } from "./directives.ts";
import { parseScript } from "./script.ts";
import { loadSession, saveSession, sessionFolder, type StoredSession } from "./session-store.ts";
import usage from "./usage.txt" with { type: "text" };

const NAME = "test-executor";

/** Runs one turn. Reads the invocation from stdin; resolves to the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  let turn: Turn | undefined;
  return await runExecutor({
    name: NAME,
    usage,
    argv,
    env: process.env,
    onSignal: () => (turn?.ignoresStops ? "ignore" : "stop"),
    execute: async (context) => {
      const stored = openSession(context);
      turn = { context, stored, ignoresStops: false, sendsSessionStop: true };
      return await takeTurn(turn);
    },
  });
}

async function takeTurn(turn: Turn): Promise<number> {
  const { context, stored } = turn;
  const { invocation, session, signal } = context;
  await session.bind({
    executor_session_id: stored.executor_session_id,
    hostname: hostname(),
    executor_type: NAME,
    executor_profile: NAME,
    project_dir: stored.project_dir,
  });
  if (invocation.mode === "resume") await session.event({ event_type: "session_start" });
  await session.message("user", invocation.prompt);

  const script = parseScript(invocation.prompt);
  for (const directive of script.directives) {
    const exitCode = await obey(turn, directive);
    signal.throwIfAborted();
    if (typeof exitCode === "number") return exitCode;
  }

  const answer =
    `[${NAME}] turn ${stored.turns.length + 1} of session ${stored.session_id}: ${script.message}`.trimEnd();
  saveSession(sessionFolder(process.env), { ...stored, turns: [...stored.turns, { message: script.message, answer }] });
  await session.message("assistant", answer);
  // The second generation of the API reads the result from this event, the first from the message before.
  await session.event({ event_type: "result", result_text: answer });
  await writeStdout(`${answer}\n`);
  // Must be the last event, and only on success: it finishes the session.
  if (turn.sendsSessionStop) await session.event({ event_type: "session_stop", exit_code: 0, reason: "completed" });
  return 0;
}

/**
 * Loads or creates the session. A start saves the session before anything can fail, so that a failed run can be
 * resumed.
 */
function openSession({ invocation }: ExecutorContext): StoredSession {
  const folder = sessionFolder(process.env);
  if (invocation.mode === "resume") return loadSession(folder, invocation.sessionId);
  const stored: StoredSession = {
    session_id: invocation.sessionId,
    executor_session_id: `test_${randomHex12()}`,
    project_dir: invocation.projectDir ?? process.cwd(),
    turns: [],
  };
  saveSession(folder, stored);
  return stored;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
