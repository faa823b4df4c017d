import { existsSync, writeFileSync } from "node:fs";
import { delay } from "../../src/async/delay.ts";
import type { ExecutorContext } from "../../src/executor-kit/run-executor.ts";
import { writeStderr, writeStdout } from "../../src/executor-kit/write-output.ts";
import { type Directive, parseDuration, parseSize } from "./script.ts";
import type { StoredSession } from "./session-store.ts";

/** The state that the directives of one turn read and change. */
export interface Turn {
  readonly context: ExecutorContext;
  readonly stored: StoredSession;
  ignoresStops: boolean;
  sendsSessionStop: boolean;
}

/** Executes a directive; resolves to an exit code if the directive ends the turn. */
type Act = (turn: Turn, rest: string) => Promise<number | void> | number | void;

const ACTS: Readonly<Record<string, Act>> = {
  sleep: (turn, rest) => delay(parseDuration(rest), turn.context.signal),
  wait: (turn, rest) => waitForFile(rest, turn.context.signal),
  fail: async (_turn, rest) => {
    await writeStderr(`${rest || "failed on request"}\n`);
    return 1;
  },
  exit: (_turn, rest) => Number.parseInt(rest || "0", 10) & 0xff,
  crash: async () => {
    process.kill(process.pid, "SIGKILL");
    await new Promise(() => {});
  },
  output: (turn, rest) => flood(writeStdout, parseSize(rest), turn.context.signal),
  stderr: (turn, rest) => flood(writeStderr, parseSize(rest), turn.context.signal),
  "ignore-sigterm": (turn) => {
    turn.ignoresStops = true;
  },
  "no-session-stop": (turn) => {
    turn.sendsSessionStop = false;
  },
  grandchild: (_turn, rest) => {
    const seconds = String(parseDuration(rest) / 1000);
    Bun.spawn(["sleep", seconds], { stdin: "ignore", stdout: "inherit", stderr: "inherit" }).unref();
  },
  daemon: (_turn, rest) => {
    // The shell leads its own process session and ends at once: `sleep` then has neither our session nor us as its
    // parent.
    const shell = ["sh", "-c", 'sleep "$1" & ', "sh", String(parseDuration(rest) / 1000)];
    Bun.spawnSync(shell, { detached: true, stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  },
  tool: (turn, rest) => useTool(turn, rest || "echo"),
  env: () => writeStdout(`${Object.keys(process.env).sort().join("\n")}\n`),
  history: (turn) => writeStdout(turn.stored.turns.map((past) => `${JSON.stringify(past.message)}\n`).join("")),
  write: (_turn, rest) => {
    const [, file = "", text = ""] = /^(\S+)\s*(.*)$/.exec(rest) ?? [];
    if (file === "") throw new Error("!write needs a file: !write FILE text");
    writeFileSync(file, `${text}\n`);
  },
  child: async (turn, rest) => {
    const child = await turn.context.session.startChild({ prompt: childPrompt(rest), executionMode: "async_callback" });
    await writeStdout(`[test-executor] started child session ${child.session_id}\n`);
  },
  "child-sync": async (turn, rest) => {
    const { session } = turn.context;
    const child = await session.startChild({ prompt: childPrompt(rest), executionMode: "sync" });
    const run = await session.runEnded(child.run_id);
    if (run.status !== "completed")
      throw new Error(`child session ${child.session_id} ${run.status}: ${run.error ?? "no reason given"}`);
    await writeStdout(`${await session.result(child.session_id)}\n`);
  },
};

/** Throws an Error for an unknown directive, so that a typo in a test does not pass silently. */
export async function obey(turn: Turn, directive: Directive): Promise<number | void> {
  const act = Object.hasOwn(ACTS, directive.name) ? ACTS[directive.name] : undefined;
  if (act === undefined)
    throw new Error(`unknown directive !${directive.name}; the directives are !${Object.keys(ACTS).join(" !")}`);
  return await act(turn, directive.rest);
}

/** A child's prompt is one line, in which `\n` is a line break. */
function childPrompt(rest: string): string {
  return rest.replaceAll("\\n", "\n");
}

async function waitForFile(file: string, signal: AbortSignal): Promise<void> {
  if (file === "") throw new Error("!wait needs a file");
  while (!signal.aborted && !existsSync(file)) await delay(20, signal);
}

async function flood(write: (text: string) => Promise<void>, bytes: number, signal: AbortSignal): Promise<void> {
  const line = `${"x".repeat(1023)}\n`;
  const chunk = line.repeat(64);
  for (let left = bytes; left > 0 && !signal.aborted; left -= chunk.length) {
    await write(chunk.slice(0, left));
    // Writes to a file do not yield; signal handlers need a turn of the event loop.
    await new Promise(setImmediate);
  }
}

async function useTool(turn: Turn, name: string): Promise<void> {
  await turn.context.session.event({
    event_type: "post_tool",
    tool_name: name,
    tool_input: { text: `input of ${name}` },
    tool_output: `output of ${name}`,
  });
}
