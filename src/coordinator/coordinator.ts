import { withDeadline } from "../async/delay.ts";
import { UserError } from "../errors.ts";
import { isLoopback } from "../protocol/loopback.ts";
import { LOGIN_FRAGMENT } from "../protocol/access/login.ts";
import { Listener } from "./listener.ts";
import { type AccessRules, Guard } from "./routes/access/guard.ts";
import { answer, type AnswerClass, answerClassOf } from "./routes/answer.ts";
import { LoginCodes } from "./routes/access/login-codes.ts";
import type { WorkCounts } from "./runs/counts.ts";
import { openService, type Service, type ServiceOptions } from "./service.ts";
import { weaknessOf } from "./token-strength.ts";
import type { TlsFiles } from "./tls-files.ts";

export interface CoordinatorOptions extends ServiceOptions, AccessRules {
  /** An address that other machines can reach requires a token. */
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  /** With it the coordinator serves https. */
  readonly tls?: TlsFiles;
  /** How often renewed files are looked for; tests shorten it. */
  readonly tlsCheckMs?: number;
  /**
   * Called before the first answer other than 503, and again when the certificate (PEM) was renewed. What it returns is
   * disposed before the next call, and before the server stops.
   */
  readonly onListening?: (url: string, port: number, certificate: string | null) => Disposable;
}

export interface CoordinatorCounts extends WorkCounts {
  /** Requests by the class of their answer. */
  readonly answers: Readonly<Record<AnswerClass, number>>;
}

export interface Coordinator extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Rejects after `close`. */
  counts(): Promise<CoordinatorCounts>;
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
  const listener = await Listener.open(options, async (request, server) => {
    const response = await answer(request, server, { log: options.log, guard, service: service ?? null });
    answers[answerClassOf(response)]++;
    return response;
  });
  const { port, url } = listener;
  let listening: Disposable | undefined;
  const onListening = (): void => {
    listening?.[Symbol.dispose]();
    listening = options.onListening?.(url, port, listener.certificate);
  };
  try {
    onListening();
    listener.onRenewed = onListening;
    service = await openService({ ...options, loginCodes });
  } catch (error) {
    listening?.[Symbol.dispose]();
    await listener.stop(true);
    throw error;
  }
  const running = service;
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    service = undefined;
    listener.onRenewed = () => {};
    listening?.[Symbol.dispose]();
    guard[Symbol.dispose]();
    closing ??= shutDown(listener, running);
    return closing;
  };
  const counts = async (): Promise<CoordinatorCounts> => ({ ...(await running.counts()), answers });
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

/** Lets the server finish open answers; connections still open at the deadline are cut. */
async function shutDown(listener: Listener, service: Service): Promise<void> {
  service.release();
  if ((await withDeadline(listener.stop(false), CLOSE_DEADLINE_MS)) === "timeout") {
    await withDeadline(listener.stop(true), CLOSE_DEADLINE_MS);
  }
  await service.close();
}
