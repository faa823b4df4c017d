import { withDeadline } from "../async/delay.ts";
import { describeError, errorCode, UserError } from "../errors.ts";
import { isLoopback } from "../protocol/loopback.ts";
import { LOGIN_FRAGMENT } from "../protocol/login.ts";
import { portInUse } from "./port-in-use.ts";
import { type AccessRules, Guard } from "./routes/access/guard.ts";
import { answer, type AnswerClass, answerClassOf, internalError } from "./routes/answer.ts";
import { LoginCodes } from "./routes/access/login-codes.ts";
import type { WorkCounts } from "./runs/counts.ts";
import { openService, type Service, type ServiceOptions } from "./service.ts";
import { weaknessOf } from "./token-strength.ts";
import { DEFAULT_TIMINGS } from "./store/timings.ts";

export interface CoordinatorOptions extends ServiceOptions, AccessRules {
  /** An address that other machines can reach requires a token. */
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  /** Called before the first answer other than 503. What it returns is disposed before the server stops. */
  readonly onListening?: (url: string, port: number) => Disposable;
}

export interface CoordinatorCounts extends WorkCounts {
  /** Requests by the class of their answer. */
  readonly answers: Readonly<Record<AnswerClass, number>>;
}

export interface Coordinator extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Throws after `close`. */
  counts(): CoordinatorCounts;
  /** A new link to the dashboard that logs in once; without a token the dashboard's address. */
  dashboardLink(): string;
  /** Ends open polls and streams, then closes the database. Takes at most two seconds. Idempotent. */
  close(): Promise<void>;
}

const CLOSE_DEADLINE_MS = 1_000;

/** Starts the coordinator. UserError: no token for a reachable address, port in use, database not usable. */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  requireToken(options);
  // Listens before it opens the database: a second coordinator then reports the first, not a locked file.
  let service: Service | undefined;
  const loginCodes = new LoginCodes();
  const guard = new Guard(options, options.log);
  const answers: Record<AnswerClass, number> = { "2xx": 0, "3xx": 0, "4xx": 0, "5xx": 0 };
  const server = await listen(options, async (request, srv) => {
    const response = await answer(request, srv, {
      log: options.log,
      guard,
      service: service ?? null,
    });
    answers[answerClassOf(response)]++;
    return response;
  });
  const port = server.port ?? options.port;
  const url = urlOf(options.host, port);
  let listening: Disposable | undefined;
  try {
    listening = options.onListening?.(url, port);
    service = openService({ ...options, loginCodes });
  } catch (error) {
    listening?.[Symbol.dispose]();
    await server.stop(true);
    throw error;
  }
  const running = service;
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    service = undefined;
    listening?.[Symbol.dispose]();
    guard[Symbol.dispose]();
    closing ??= shutDown(server, running);
    return closing;
  };
  const counts = (): CoordinatorCounts => ({ ...running.counts(), answers });
  const dashboardLink = (): string =>
    options.token === undefined ? `${url}/` : `${url}/#${LOGIN_FRAGMENT}${loginCodes.create(options.token)}`;
  return { url, port, counts, dashboardLink, close, [Symbol.asyncDispose]: close };
}

function requireToken({ host, token }: CoordinatorOptions): void {
  if (token === "") throw new UserError("The coordinator's token is empty", { hint: "Give a token, or none" });
  if (token === undefined && !isLoopback(host)) {
    throw new UserError(`A coordinator on ${host} can be reached by other machines and needs a token`, {
      hint: "Leave out --no-token, or listen on 127.0.0.1",
    });
  }
  const weakness = token === undefined || isLoopback(host) ? null : weaknessOf(token);
  if (weakness === null) return;
  throw new UserError(`The coordinator's token is too weak for ${host}, which other machines can reach: ${weakness}`, {
    hint: "Set no token, and the coordinator makes a strong one; or take one from: openssl rand -hex 32",
  });
}

async function listen(
  { host, port, timings }: CoordinatorOptions,
  fetch: (request: Request, server: Bun.Server<undefined>) => Promise<Response>,
): Promise<Bun.Server<undefined>> {
  const idleTimeout = timings?.idleTimeoutSeconds ?? DEFAULT_TIMINGS.idleTimeoutSeconds;
  try {
    // Bun's own limit would answer without a reason in the body; `readBody` has a limit of its own.
    const maxRequestBodySize = Number.MAX_SAFE_INTEGER;
    return Bun.serve({
      hostname: host,
      port,
      fetch,
      idleTimeout,
      maxRequestBodySize,
      error: (error) => internalError(error),
    });
  } catch (error) {
    if (errorCode(error) === "EADDRINUSE") throw await portInUse(urlOf(host, port), port, error);
    throw new UserError(`Cannot listen on ${host}:${port}: ${describeError(error)}`, { cause: error });
  }
}

/** Lets the server finish open answers; connections still open at the deadline are cut. */
async function shutDown(server: Bun.Server<undefined>, service: Service): Promise<void> {
  service.release();
  if ((await withDeadline(server.stop(), CLOSE_DEADLINE_MS)) === "timeout") {
    await withDeadline(server.stop(true), CLOSE_DEADLINE_MS);
  }
  service.close();
}

/** The URL for a client on this machine. */
function urlOf(host: string, port: number): string {
  if (host === "0.0.0.0") return `http://127.0.0.1:${port}`;
  if (host === "::") return `http://[::1]:${port}`;
  return `http://${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${port}`;
}
