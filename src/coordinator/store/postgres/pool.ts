import { SQL, type ReservedSQL } from "bun";
import { withDeadline } from "../../../async/delay.ts";
import type { DatabaseUrl } from "./database-url.ts";
import type { Result } from "./values.ts";

/** A statement that runs longer is cancelled by the server. */
const STATEMENT_TIMEOUT_MS = 30_000;
/** A transaction without a statement for longer is ended by the server: its coordinator was suspended. */
const IDLE_TIMEOUT_MS = 10_000;
/** A connection that is silent for longer is given up: the network swallows its packets. */
const SILENCE_MS = STATEMENT_TIMEOUT_MS + 10_000;
/** Closed before the firewalls on the way forget a silent connection. */
const UNUSED_SECONDS = 60;

/** A connection that one transaction or one statement uses alone. */
export interface Connection {
  /**
   * Sends a statement at once. Statements that are sent without a wait between them take one round trip; after an error
   * inside a transaction the later ones fail too. Without `parameters` the text may hold several statements, which take
   * a round trip of their own.
   */
  query(text: string, parameters?: readonly (string | null)[]): Promise<Result>;
  /** Gives the connection back. It is closed instead if a query was silent for too long. Idempotent. */
  release(): Promise<void>;
}

/** The connections of this process to the database. */
export class Pool implements AsyncDisposable {
  readonly #sql: SQL;
  readonly #size: number;
  readonly #waiting: (() => void)[] = [];
  #inUse = 0;
  #isClosed = false;

  constructor(url: DatabaseUrl) {
    this.#size = url.poolSize;
    this.#sql = new SQL(clientUrl(url), clientOptions(url));
  }

  /** Connections in use, callers that wait for one, and the most that may be open. */
  get figures(): { readonly inUse: number; readonly waiting: number; readonly size: number } {
    return { inUse: this.#inUse, waiting: this.#waiting.length, size: this.#size };
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Resolves with a connection of the caller's own. Callers beyond the size of the pool wait in order. */
  async take(): Promise<Connection> {
    if (this.#inUse < this.#size) this.#inUse++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return this.#connection(await this.#sql.reserve());
    } catch (error) {
      this.#leave();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await withDeadline(this.#sql.close({ timeout: 1 }), 2_000);
  }

  #connection(reserved: ReservedSQL): Connection {
    let isOver = false;
    const end = async (how: () => Promise<void>): Promise<void> => {
      if (isOver) return;
      isOver = true;
      try {
        await how();
      } finally {
        this.#leave();
      }
    };
    const abandon = (): void => void end(() => reserved.close({ timeout: 0 }));
    return {
      query: (text, parameters) => ask(reserved, text, parameters, abandon),
      release: () => end(() => reserved.release()),
    };
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#inUse--;
    else next();
  }
}

/** A server that stays silent counts as a closed connection. */
async function ask(
  reserved: ReservedSQL,
  text: string,
  parameters: readonly (string | null)[] | undefined,
  abandon: () => void,
): Promise<Result> {
  // `execute` sends it now: a query of Bun's client otherwise waits until somebody awaits it.
  const query = queryOf(reserved, text, parameters).execute();
  const timer = setTimeout(abandon, SILENCE_MS);
  try {
    return await query;
  } finally {
    clearTimeout(timer);
  }
}

/** Bun sends a text without parameters by the simple protocol, which has no pipeline, unless it is a template. */
function queryOf(
  reserved: ReservedSQL,
  text: string,
  parameters: readonly (string | null)[] | undefined,
): SQL.Query<Result> {
  if (parameters?.length === 0) {
    return reserved<Result>(Object.defineProperty([text], "raw", { value: [text] }) as unknown as TemplateStringsArray);
  }
  return reserved.unsafe<Result>(text, parameters === undefined ? undefined : [...parameters]);
}

/** Names every part, because Bun fills those that are missing from the environment (PGHOST, DATABASE_URL, ...). */
function clientUrl({ host, port, database, sslMode }: DatabaseUrl): string {
  const place = host.startsWith("/") ? "localhost" : host.includes(":") ? `[${host}]` : host;
  return `postgres://${place}:${port}/${encodeURIComponent(database)}?sslmode=${sslMode}`;
}

function clientOptions(url: DatabaseUrl): SQL.PostgresOrMySQLOptions {
  const isSocket = url.host.startsWith("/");
  return {
    adapter: "postgres",
    hostname: isSocket ? "localhost" : url.host,
    port: url.port,
    ...(isSocket ? { path: url.host } : {}),
    username: url.user,
    password: url.password,
    database: url.database,
    tls: tlsOptions(url),
    channelBinding: "prefer",
    max: url.poolSize,
    prepare: url.prepare,
    connectionTimeout: url.connectTimeoutSeconds,
    idleTimeout: UNUSED_SECONDS,
    connection: url.prepare ? { application_name: "agent-runner", ...sessionSettings(url) } : {},
  };
}

/** A pooler refuses settings at the start of a connection: behind one each transaction sets them for itself. */
export function sessionSettings({ schema }: DatabaseUrl): Record<string, string> {
  return {
    statement_timeout: String(STATEMENT_TIMEOUT_MS),
    idle_in_transaction_session_timeout: String(IDLE_TIMEOUT_MS),
    ...(schema === undefined ? {} : { search_path: `"${schema.replaceAll('"', '""')}"` }),
  };
}

function tlsOptions({
  host,
  sslMode,
  sslRootCert,
  sslCert,
  sslKey,
}: DatabaseUrl): NonNullable<SQL.PostgresOrMySQLOptions["tls"]> {
  if (sslMode === "disable" || host.startsWith("/")) return false;
  const files = {
    ...(sslRootCert === undefined ? {} : { ca: Bun.file(sslRootCert) }),
    ...(sslCert === undefined ? {} : { cert: Bun.file(sslCert) }),
    ...(sslKey === undefined ? {} : { key: Bun.file(sslKey) }),
  };
  return Object.keys(files).length === 0 ? sslMode : files;
}
