import { isLoopback } from "../../../protocol/loopback.ts";
import { UserError } from "../../../errors.ts";

/** A database as its URL names it. */
export interface DatabaseUrl {
  /** A host name, an IP address, or the absolute path of the folder of a unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly sslMode: SslMode;
  /** Path of a PEM file with the certificates that the server's certificate must come from. */
  readonly sslRootCert: string | undefined;
  /** Paths of PEM files: this client's certificate and its key. */
  readonly sslCert: string | undefined;
  readonly sslKey: string | undefined;
  /** False behind a pooler that gives each transaction another connection, such as PgBouncer. */
  readonly prepare: boolean;
  /** How many connections this coordinator opens at most. */
  readonly poolSize: number;
  readonly connectTimeoutSeconds: number;
  /** The schema of the tables; undefined: the one that the role's search path names. */
  readonly schema: string | undefined;
}

const SSL_MODES = ["disable", "prefer", "require", "verify-ca", "verify-full"] as const;
export type SslMode = (typeof SSL_MODES)[number];

const PARAMETERS = [
  "sslmode",
  "sslrootcert",
  "sslcert",
  "sslkey",
  "host",
  "prepare",
  "pool_size",
  "connect_timeout",
  "schema",
] as const;
type Parameter = (typeof PARAMETERS)[number];

const FORM = "Write it as postgres://user:password@host:5432/database?sslmode=verify-full";

/**
 * Reads `postgres://user:password@host:port/database?parameter=value`. UserError: not such a URL. The error never
 * repeats the URL, which may hold a password.
 */
export function parseDatabaseUrl(text: string): DatabaseUrl {
  const url = URL.parse(text);
  if (url === null || !["postgres:", "postgresql:"].includes(url.protocol) || url.hash !== "") {
    throw new UserError("The database is not a URL of PostgreSQL", {
      hint: `${FORM}; write /, ?, # and @ of a password as %2F, %3F, %23 and %40`,
    });
  }
  const parameters = readParameters(url.searchParams);
  const host = parameters.host ?? (decoded(url.hostname).replace(/^\[(.*)\]$/, "$1") || "localhost");
  if (host.includes(",")) {
    throw new UserError("The database's URL names several hosts", { hint: "Name the one that stands for the primary" });
  }
  const isLocal = host.startsWith("/") || isLoopback(host);
  const user = decoded(url.username);
  const database = decoded(url.pathname.slice(1)) || user;
  if (user === "") throw new UserError("The database's URL names no user", { hint: FORM });
  return {
    host,
    port: url.port === "" ? 5432 : Number(url.port),
    user,
    password: decoded(url.password),
    database,
    sslMode: oneOf("sslmode", SSL_MODES, parameters.sslmode) ?? (isLocal ? "prefer" : "require"),
    sslRootCert: parameters.sslrootcert,
    sslCert: parameters.sslcert,
    sslKey: parameters.sslkey,
    prepare: oneOf("prepare", ["true", "false"], parameters.prepare) !== "false",
    poolSize: wholeNumber("pool_size", parameters.pool_size, 1, 1000) ?? 10,
    connectTimeoutSeconds: wholeNumber("connect_timeout", parameters.connect_timeout, 1, 300) ?? 5,
    schema: parameters.schema,
  };
}

/** The database for people, without the password. */
export function describeDatabase({ host, port, user, database }: DatabaseUrl): string {
  const isSocket = host.startsWith("/");
  const place = isSocket ? "localhost" : `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const socket = isSocket ? `?host=${host}` : "";
  return `postgres://${encodeURIComponent(user)}@${place}/${encodeURIComponent(database)}${socket}`;
}

function readParameters(given: URLSearchParams): Partial<Record<Parameter, string>> {
  const unknown = [...given.keys()].find((name) => !PARAMETERS.some((known) => known === name));
  if (unknown !== undefined) {
    throw new UserError(`The database's URL has an unknown parameter: ${unknown}`, {
      hint: `These are known: ${PARAMETERS.join(", ")}`,
    });
  }
  return Object.fromEntries(given);
}

function oneOf<const Word extends string>(
  name: Parameter,
  words: readonly Word[],
  text: string | undefined,
): Word | undefined {
  if (text === undefined) return undefined;
  const word = words.find((known) => known === text);
  if (word === undefined) throw badParameter(name, `one of ${words.join(", ")}`);
  return word;
}

function wholeNumber(name: Parameter, text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined) return undefined;
  const number = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= least && number <= most)) throw badParameter(name, `a whole number from ${least} to ${most}`);
  return number;
}

function badParameter(name: Parameter, wanted: string): UserError {
  return new UserError(`The parameter ${name} of the database's URL is not ${wanted}`, { hint: FORM });
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new UserError("The database's URL has a % that begins no encoded character", {
      hint: "Write a % of a password as %25",
    });
  }
}
