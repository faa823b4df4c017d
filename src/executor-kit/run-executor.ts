import { constants } from "node:os";
import { describeError } from "../errors.ts";
import { type Invocation, invocationJsonSchema, parseInvocation } from "../protocol/invocation.ts";
import { bypassProxy } from "./bypass-proxy.ts";
import { CANNOT_RUN, CannotRunHere } from "./cannot-run.ts";
import { readStdin } from "./read-stdin.ts";
import { SessionClient } from "./session-client.ts";
import { writeStderr, writeStdout } from "./write-output.ts";

export type StopSignal = "SIGTERM" | "SIGINT";

export interface ExecutorProgram {
  /** Prefix of error messages. */
  readonly name: string;
  /** The text of `--help`. */
  readonly usage: string;
  /** The arguments after the program's name. */
  readonly argv: readonly string[];
  /** The program's own `process.env`. */
  readonly env: Record<string, string | undefined>;
  /** Decides whether to obey a stop. Default: obeys every stop. */
  readonly onSignal?: (signal: StopSignal) => "stop" | "ignore";
  /** How long session calls continue after a stop, to send the last events. Default: 0, the stop ends them. */
  readonly lingerMs?: number;
  /**
   * Does the work; resolves to the exit code. Must reject soon after `signal` fires: pass `signal` to every wait. Work
   * that is complete by then may still resolve to 0.
   */
  readonly execute: (context: ExecutorContext) => Promise<number>;
}

export interface ExecutorContext {
  readonly invocation: Invocation;
  readonly session: SessionClient;
  readonly signal: AbortSignal;
}

/**
 * Runs an executor from arguments to exit code; never rejects. Answers `--help` and `--schema` without reading stdin.
 * An error is one line on stderr and exit code 1 (2: wrong arguments; 78: a CannotRunHere). A stop is 128 +
 * the signal's number.
 */
export async function runExecutor(program: ExecutorProgram): Promise<number> {
  const [option] = program.argv;
  if (option === "--help" || option === "-h") return await print(program.usage);
  if (option === "--schema") return await print(`${JSON.stringify(invocationJsonSchema(), null, 2)}\n`);
  if (option !== undefined) return await fail(program, `unknown argument ${option}; see --help`, 2);

  const stop = listenForStop(program.onSignal ?? (() => "stop"), program.lingerMs ?? 0);
  try {
    return await program.execute(await readContext(program, stop));
  } catch (error) {
    const code = error instanceof CannotRunHere ? CANNOT_RUN : 1;
    return stop.exitCode() ?? (await fail(program, describeError(error), code));
  } finally {
    stop[Symbol.dispose]();
  }
}

async function readContext(program: ExecutorProgram, { signal, callsSignal }: Stop): Promise<ExecutorContext> {
  const invocation = parseInvocation(await readStdin(signal));
  const apiUrl = program.env["AGENT_ORCHESTRATOR_API_URL"];
  if (apiUrl === undefined || !URL.canParse(apiUrl)) {
    throw new Error("AGENT_ORCHESTRATOR_API_URL is not set to a URL: start this executor with agent-runner");
  }
  bypassProxy(program.env, apiUrl);
  return {
    invocation,
    signal,
    session: new SessionClient({ apiUrl, sessionId: invocation.sessionId, signal: callsSignal }),
  };
}

interface Stop extends Disposable {
  readonly signal: AbortSignal;
  /** Fires `lingerMs` after `signal`. */
  readonly callsSignal: AbortSignal;
  exitCode(): number | null;
}

function listenForStop(onSignal: (signal: StopSignal) => "stop" | "ignore", lingerMs: number): Stop {
  const controller = new AbortController();
  const calls = lingerMs === 0 ? controller : new AbortController();
  let linger: Timer | undefined;
  let exitCode: number | null = null;
  const listen = (signal: StopSignal): void => {
    if (onSignal(signal) === "ignore") return;
    exitCode ??= 128 + constants.signals[signal];
    const reason = new Error(`stopped by ${signal}`);
    controller.abort(reason);
    linger ??= setTimeout(() => calls.abort(reason), lingerMs);
  };
  process.on("SIGTERM", listen);
  process.on("SIGINT", listen);
  return {
    signal: controller.signal,
    callsSignal: calls.signal,
    exitCode: () => exitCode,
    [Symbol.dispose]() {
      clearTimeout(linger);
      process.off("SIGTERM", listen);
      process.off("SIGINT", listen);
    },
  };
}

async function print(text: string): Promise<number> {
  await writeStdout(text);
  return 0;
}

async function fail(program: ExecutorProgram, message: string, exitCode: number): Promise<number> {
  await writeStderr(`${program.name}: ${message.replaceAll(/\s*\n\s*/g, " ")}\n`);
  return exitCode;
}
