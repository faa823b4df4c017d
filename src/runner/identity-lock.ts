import { Database } from "bun:sqlite";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import type { Config } from "../config/load-config.ts";
import { describeError, errorCode, UserError } from "../errors.ts";
import { privateFolder } from "../process/private-folder.ts";
import { processStartTime } from "../process/process-table.ts";
import { isShortage } from "../process/shortage.ts";

/** What makes a runner the same to a coordinator (`docs/protocol.md`, section 2). */
export interface RunnerIdentity {
  readonly coordinatorUrl: string;
  readonly hostname: string;
  readonly projectDir: string;
  readonly executorType: string;
}

/** Held until it is disposed or the process ends. `key` names the identity in file names. */
export interface IdentityLock extends Disposable {
  readonly key: string;
}

/**
 * Proves that no other live runner on this machine has the identity: an SQLite file of its own, locked exclusively. The kernel frees it
 * with the process, however that ends, and executors do not inherit it. Throws a UserError if another runner holds it, or if the
 * folder cannot be used.
 */
export function lockIdentity(identity: RunnerIdentity, folder: string): IdentityLock {
  try {
    privateFolder(folder);
    return lockIn(folder, identity);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`No lock can be held in ${folder}: ${describeError(error)}`, {
      hint: "Make that folder writable.",
      cause: error,
    });
  }
}

function lockIn(folder: string, identity: RunnerIdentity): IdentityLock {
  const key = new Bun.CryptoHasher("sha256")
    .update(JSON.stringify(normalised(identity)))
    .digest("hex")
    .slice(0, 24);
  const database = tryLock(join(folder, `${key}.lock`));
  if (database === null) {
    const pid = readHolder(folder, key)?.pid ?? "unknown";
    throw new UserError(
      `A runner for ${identity.executorType} in ${identity.projectDir} at ${identity.coordinatorUrl} is already running on this machine (pid ${pid})`,
      { hint: "Stop that one, or give this one another --project-dir or executor." },
    );
  }
  writeHolder(join(folder, `${key}.json`), identity);
  return { key, [Symbol.dispose]: () => database.close() };
}

/** Only messages and `handover` need it: a disk that is full keeps no runner from coming back for its executors. */
function writeHolder(path: string, identity: RunnerIdentity): void {
  const holder: Holder = { ...identity, pid: process.pid, startedAt: processStartTime(process.pid) ?? "" };
  try {
    writeFileSync(path, JSON.stringify(holder), { mode: 0o600 });
  } catch (error) {
    if (!isShortage(error)) throw error;
  }
}

/** Null if somebody holds it. */
function tryLock(path: string): Database | null {
  const database = new Database(path, { create: true });
  try {
    database.run("PRAGMA locking_mode = EXCLUSIVE");
    database.run("BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database.close();
    if (errorCode(error)?.startsWith("SQLITE_BUSY")) return null;
    throw error;
  }
}

const Holder = v.object({
  coordinatorUrl: v.string(),
  hostname: v.string(),
  projectDir: v.string(),
  executorType: v.string(),
  pid: v.pipe(v.number(), v.integer(), v.minValue(2)),
  startedAt: v.string(),
});
/** Who holds a lock, as it says of itself. */
export type Holder = v.InferOutput<typeof Holder>;

function readHolder(folder: string, key: string): Holder | null {
  try {
    return v.parse(Holder, JSON.parse(readFileSync(join(folder, `${key}.json`), "utf8")));
  } catch {
    return null;
  }
}

/** The runners of this user that live: those whose lock is held. */
export function liveRunners(folder: string): Holder[] {
  if (!existsSync(folder)) return [];
  const keys = readdirSync(folder).flatMap((name) => (name.endsWith(".lock") ? [name.slice(0, -".lock".length)] : []));
  return keys.flatMap((key) => {
    const lock = tryLock(join(folder, `${key}.lock`));
    lock?.close();
    const holder = lock === null ? readHolder(folder, key) : null;
    return holder === null ? [] : [holder];
  });
}

/**
 * Whether this is the only runner on the machine with this host, project directory and executor, whoever's home its locks are in and
 * however its coordinator's URL is spelled: null if there is another. Only then may an identity that the coordinator calls online be
 * taken up. (Linux: a name of the kernel's, which goes with the process; elsewhere a lock in the folder for temporary files.)
 */
export function claimMachine({ hostname, projectDir, executorType }: RunnerIdentity): Disposable | null {
  const name = new Bun.CryptoHasher("sha256")
    .update(JSON.stringify([hostname, projectDir, executorType]))
    .digest("hex")
    .slice(0, 32);
  try {
    if (process.platform === "linux") {
      const socket = Bun.listen({ unix: `\0agent-runner/${name}`, socket: { data() {} } });
      return { [Symbol.dispose]: () => socket.stop(true) };
    }
    const folder = join(tmpdir(), "agent-runner-locks");
    mkdirSync(folder, { recursive: true });
    const database = tryLock(join(folder, `${name}.lock`));
    return database === null ? null : { [Symbol.dispose]: () => database.close() };
  } catch {
    return null;
  }
}

function normalised(identity: RunnerIdentity): RunnerIdentity {
  const url = new URL(identity.coordinatorUrl);
  if (url.hostname === "localhost" || url.hostname === "[::1]") url.hostname = "127.0.0.1";
  return { ...identity, coordinatorUrl: url.toString() };
}

/** Where this user's locks are: not in `--state-dir`, which differs from runner to runner; only where nothing else can be written. */
export function locksFolder({ folders, stateDir }: Pick<Config, "folders" | "stateDir">): string {
  const folder = join(folders.state, "locks");
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return folder;
  } catch {
    return join(stateDir, "locks");
  }
}
