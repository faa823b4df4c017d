import { Database } from "bun:sqlite";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeError, errorCode, UserError } from "../errors.ts";

/** What makes a runner the same to a coordinator (protocol, section 2). */
export interface RunnerIdentity {
  readonly coordinatorUrl: string;
  readonly hostname: string;
  readonly projectDir: string;
  readonly executorType: string;
}

/**
 * Proves that no other live runner on this machine has the identity: an SQLite file of its own, locked exclusively. The kernel frees it
 * with the process, however that ends, and executors do not inherit it. Throws a UserError if another runner holds it, or if the
 * folder cannot be used.
 */
export function lockIdentity(identity: RunnerIdentity, folder: string): Disposable {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return lockIn(folder, identity);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`No lock can be held in ${folder}: ${describeError(error)}`, { hint: "Make that folder writable.", cause: error });
  }
}

function lockIn(folder: string, identity: RunnerIdentity): Disposable {
  const key = createHash("sha256").update(JSON.stringify(normalised(identity))).digest("hex").slice(0, 24);
  const pidFile = join(folder, `${key}.pid`);
  const database = new Database(join(folder, `${key}.lock`), { create: true });
  try {
    database.run("PRAGMA locking_mode = EXCLUSIVE");
    database.run("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (!errorCode(error)?.startsWith("SQLITE_BUSY")) throw error;
    throw new UserError(
      `A runner for ${identity.executorType} in ${identity.projectDir} at ${identity.coordinatorUrl} is already running on this machine (pid ${pidIn(pidFile)})`,
      { hint: "Stop that one, or give this one another --project-dir or executor.", cause: error },
    );
  }
  writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 });
  return { [Symbol.dispose]: () => database.close() };
}

function normalised(identity: RunnerIdentity): RunnerIdentity {
  const url = new URL(identity.coordinatorUrl);
  if (url.hostname === "localhost" || url.hostname === "[::1]") url.hostname = "127.0.0.1";
  return { ...identity, coordinatorUrl: url.toString() };
}

function pidIn(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "unknown";
  }
}
