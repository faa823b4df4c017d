import { describeError, errorCode, UserError } from "../errors.ts";
import type { Log } from "../log.ts";
import { portInUse } from "./port-in-use.ts";
import { internalError } from "./routes/answer.ts";
import { type CoordinatorTimings, DEFAULT_TIMINGS } from "./store/timings.ts";
import { type LoadedTls, loadTls, stateOf, type TlsFiles } from "./tls-files.ts";

type Server = Bun.Server<undefined>;
type Fetch = (request: Request, server: Server) => Promise<Response>;

export interface ListenerOptions {
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  readonly tls?: TlsFiles;
  readonly tlsCheckMs?: number;
  readonly timings?: Partial<CoordinatorTimings>;
  readonly log: Log;
}

const TLS_CHECK_MS = 60_000;
const EXPIRY_WARNING_MS = 14 * 86_400_000;

/**
 * The coordinator's HTTP server. With TLS it takes up renewed files: a second server begins on the same port, and the
 * first one finishes its open calls.
 */
export class Listener {
  readonly port: number;
  readonly url: string;
  /** Called after a renewal. */
  onRenewed: () => void = () => {};
  readonly #options: ListenerOptions;
  readonly #fetch: Fetch;
  readonly #servers = new Set<Server>();
  #server: Server;
  #tls: LoadedTls | null;
  #state: string;
  readonly #timer: Timer | undefined;

  /** UserError: port in use, address not usable, TLS files not usable. */
  static async open(options: ListenerOptions, fetch: Fetch): Promise<Listener> {
    const { host, port, tls: files } = options;
    const state = files === undefined ? "" : stateOf(files);
    const tls = files === undefined ? null : loadTls(files);
    try {
      return new Listener(options, fetch, tls, state);
    } catch (error) {
      if (errorCode(error) === "EADDRINUSE") throw await portInUse(urlOf("http", host, port), port, error);
      throw new UserError(`Cannot listen on ${host}:${port}: ${describeError(error)}`, { cause: error });
    }
  }

  private constructor(options: ListenerOptions, fetch: Fetch, tls: LoadedTls | null, state: string) {
    this.#options = options;
    this.#fetch = fetch;
    this.#tls = tls;
    this.#state = state;
    this.#server = this.#serve(options.port, tls);
    this.port = this.#server.port ?? options.port;
    this.url = urlOf(tls === null ? "http" : "https", options.host, this.port);
    if (tls === null) return;
    this.#warnOf(tls);
    this.#timer = setInterval(() => this.#renew(), options.tlsCheckMs ?? TLS_CHECK_MS);
    this.#timer.unref();
  }

  /** The certificate that clients are shown (PEM); null without TLS. */
  get certificate(): string | null {
    return this.#tls?.certificate ?? null;
  }

  /** Takes no more calls. `cutsOff`: ends the open ones; else resolves when they have ended. */
  async stop(cutsOff: boolean): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([...this.#servers].map((server) => server.stop(cutsOff)));
  }

  #serve(port: number, tls: LoadedTls | null): Server {
    const { host, timings } = this.#options;
    const server = Bun.serve({
      hostname: host,
      port,
      fetch: this.#fetch,
      idleTimeout: timings?.idleTimeoutSeconds ?? DEFAULT_TIMINGS.idleTimeoutSeconds,
      // Bun's own limit would answer without a reason in the body; `readBody` has a limit of its own.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      error: (error) => internalError(error),
      ...(tls === null ? {} : { tls: { cert: tls.cert, key: tls.key } }),
    });
    this.#servers.add(server);
    return server;
  }

  /** Bun cannot change the certificate of a running server. Files that do not fit are tried again when one changes. */
  #renew(): void {
    const { tls: files, log } = this.#options;
    if (files === undefined) return;
    const state = stateOf(files);
    if (state === this.#state) return;
    this.#state = state;
    try {
      const tls = loadTls(files);
      const before = this.#server;
      void before.stop().then(() => this.#servers.delete(before));
      this.#server = this.#serve(this.port, tls);
      this.#tls = tls;
      log.info(`The TLS certificate was renewed: it is valid until ${new Date(tls.expiresAtMs).toISOString()}`);
      this.#warnOf(tls);
      this.onRenewed();
    } catch (error) {
      log.error(`The renewed TLS certificate cannot be used: ${describeError(error)}`);
      if (errorCode(error) === "EADDRINUSE") this.#state = "";
    }
  }

  #warnOf({ expiresAtMs, isKeyOpen }: LoadedTls): void {
    const { log, tls } = this.#options;
    if (expiresAtMs - Date.now() < EXPIRY_WARNING_MS)
      log.warn(`The TLS certificate ${tls?.certFile} expires on ${new Date(expiresAtMs).toISOString()}`);
    if (isKeyOpen) log.warn(`Every user of this machine can read the TLS key ${tls?.keyFile}: chmod 600 it`);
  }
}

/** The URL for a client on this machine. */
function urlOf(scheme: "http" | "https", host: string, port: number): string {
  if (host === "0.0.0.0") return `${scheme}://127.0.0.1:${port}`;
  if (host === "::") return `${scheme}://[::1]:${port}`;
  return `${scheme}://${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${port}`;
}
