import { type ConsolaInstance, type ConsolaReporter, createConsola, LogLevels } from "consola/core";
import { harmlessJson, harmlessLine } from "./harmless-text.ts";
import { localTime } from "./local-time.ts";

export type LogFormat = "text" | "json";

/** The values of a line. A line about a run has both ids. Prompts and credentials never go in. */
export interface LogContext {
  readonly run?: string;
  readonly session?: string;
  readonly [key: string]: string | number | boolean | undefined;
}

/** One scope's log (`poller`, `executor`, ...). */
export interface Log {
  debug(message: string, context?: LogContext): void;
  info(message: string, context?: LogContext): void;
  warn(message: string, context?: LogContext): void;
  error(message: string, context?: LogContext): void;
  /** The same log under another scope. */
  scope(name: string): Log;
}

export interface LogOptions {
  readonly format: LogFormat;
  readonly verbose: boolean;
  /** Receives a line with its line feed. Its text cannot control a terminal; colours are the log's own. */
  readonly write: (line: string) => void;
  readonly colours?: boolean;
}

const LABELS: Record<string, string> = { debug: "DEBUG", info: "INFO", warn: "WARNING", error: "ERROR" };
const COLOURS: Record<string, string> = { debug: "2", warn: "33", error: "31" };

export function createLog(scope: string, options: LogOptions): Log {
  const { write } = options;
  const reporter = options.format === "json" ? jsonReporter(write) : textReporter(write, options.colours ?? false);
  const consola = createConsola({
    level: options.verbose ? LogLevels.debug : LogLevels.info,
    reporters: [reporter],
    // Keeps consola from folding repeated lines: each must be countable.
    throttle: 0,
  });
  return scoped(consola, scope);
}

/** Writes nothing. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {}, scope: () => silentLog };

/**
 * Passes the scope with each line. One consola instance per scope costs more than a line, and each run has several
 * scopes.
 */
function scoped(consola: ConsolaInstance, scope: string): Log {
  return {
    debug: (message, context) => consola.debug(message, context ?? {}, scope),
    info: (message, context) => consola.info(message, context ?? {}, scope),
    warn: (message, context) => consola.warn(message, context ?? {}, scope),
    error: (message, context) => consola.error(message, context ?? {}, scope),
    scope: (name) => scoped(consola, name),
  };
}

type Line = readonly [message: string, context: LogContext, scope: string];

function textReporter(write: (line: string) => void, colours: boolean): ConsolaReporter {
  return {
    log({ date, type, args }) {
      const [message, context, scope] = args as unknown as Line;
      const line = harmlessLine(
        `${localTime(date)} [${LABELS[type] ?? type}] ${scope}: ${message}${suffix(message, context)}`,
      );
      const colour = colours ? COLOURS[type] : undefined;
      write(colour === undefined ? `${line}\n` : `\x1b[${colour}m${line}\x1b[0m\n`);
    },
  };
}

function jsonReporter(write: (line: string) => void): ConsolaReporter {
  return {
    log({ date, type, args }) {
      const [message, context, scope] = args as unknown as Line;
      const { run, session, ...rest } = context;
      const line = {
        time: date.toISOString(),
        level: type,
        scope,
        message,
        ...(run === undefined ? {} : { run_id: run }),
        ...(session === undefined ? {} : { session_id: session }),
        ...rest,
      };
      write(`${harmlessJson(JSON.stringify(line))}\n`);
    },
  };
}

/** The context as ` [run_... ses_... key=value]`, without ids that the message already has. */
function suffix(message: string, context: LogContext): string {
  const parts: string[] = [];
  for (const [key, value] of Object.entries(context)) {
    if (value === undefined) continue;
    if (key === "run" || key === "session") {
      if (!message.includes(String(value))) parts.push(String(value));
    } else {
      parts.push(`${key}=${value}`);
    }
  }
  return parts.length === 0 ? "" : ` [${parts.join(" ")}]`;
}
