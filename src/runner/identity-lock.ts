import { Database } from "bun:sqlite";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { describeError, errorCode, UserError } from "../errors.ts";
import { privateFolder, sharedFolder, type StatePlaces } from "../process/private-folder.ts";
import { processStartTime } from "../process/process-table.ts";
import { isShortage } from "../process/shortage.ts";
import { shownUrl } from "../protocol/shown-url.ts";
import { makePrivate } from "../trust/private-file.ts";

/** The fields by which a coordinator recognises a runner (`docs/protocol.md`, section 2). */
export interface RunnerIdentity {
  readonly coordinatorUrl: string;
  readonly hostname: string;
  readonly projectDir: string;
  readonly executorType: string;
}

/** Held until disposed, or until the process ends. `key` stands for the identity in file names. */
export interface IdentityLock extends Disposable {
  readonly key: string;
  /** The gateway ports of this user's other runners on this machine, whether they live or not. */
  portsOfOthers(): ReadonlySet<number>;
  recordPort(port: number): void;
}

/** How to start the runner again, beyond its identity. */
export interface Restart {
  readonly stateDir: string;
  /** The words after the program's name. */
  readonly words: readonly string[];
}

/** Commands hold a lock for a moment, to find out whether a runner does. So does `endAbandoned`. */
const PROBE_MS = 5_000;

/**
 * Takes the lock of an identity, so that only one live runner of this user has it. The lock is an exclusively locked
 * SQLite file. The kernel frees the lock when the process ends, and executors do not inherit it. Throws a UserError if
 * another runner holds the lock, or if the folder cannot be used.
 */
export function lockIdentity(identity: RunnerIdentity, folder: string, restart?: Restart): IdentityLock {
  try {
    privateFolder(folder);
    return lockIn(folder, identity, restart);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`Could not lock a file in ${folder}: ${describeError(error)}`, {
      hint: "Make the folder writable, or keep the state on a file system with locks",
      cause: error,
    });
  }
}

function lockIn(folder: string, identity: RunnerIdentity, restart?: Restart): IdentityLock {
  const key = new Bun.CryptoHasher("sha256")
    .update(JSON.stringify(normalised(identity)))
    .digest("hex")
    .slice(0, 24);
  const path = join(folder, `${key}.lock`);
  const database = tryLock(path) ?? (isAlive(readHolder(folder, key)) ? null : tryLock(path, PROBE_MS));
  if (database === null) {
    const pid = readHolder(folder, key)?.pid ?? "unknown";
    throw new UserError(
      `A runner for ${identity.executorType} in ${identity.projectDir} at ${shownUrl(identity.coordinatorUrl)} ` +
        `is already running on this machine (pid ${pid})`,
      { hint: "Stop that runner, or give this one another --project-dir or executor" },
    );
  }
  const record = (gatewayPort: number | undefined): void =>
    writeHolder(join(folder, `${key}.json`), identity, gatewayPort, restart);
  record(readHolder(folder, key)?.gatewayPort);
  return {
    key,
    portsOfOthers: () =>
      new Set(keysIn(folder).flatMap((other) => (other === key ? [] : (readHolder(folder, other)?.gatewayPort ?? [])))),
    recordPort: record,
    [Symbol.dispose]: () => database.close(),
  };
}

/** Ignores a full disk: only messages and `handover` need the file, and the runner must adopt its executors. */
function writeHolder(
  path: string,
  identity: RunnerIdentity,
  gatewayPort: number | undefined,
  restart: Restart | undefined,
): void {
  const holder: Holder = {
    ...identity,
    pid: process.pid,
    startedAt: processStartTime(process.pid) ?? "",
    ...(restart === undefined ? {} : { stateDir: restart.stateDir, restartWords: [...restart.words] }),
    ...(gatewayPort === undefined ? {} : { gatewayPort }),
  };
  try {
    writeFileSync(path, JSON.stringify(holder), { mode: 0o600 });
  } catch (error) {
    if (!isShortage(error)) throw error;
  }
}

/** Null if somebody holds it for longer than `waitMs`. */
function tryLock(path: string, waitMs = 0): Database | null {
  // Only a missing file: to close one that this process has locked would end the lock.
  if (!existsSync(path)) makePrivate(path);
  const database = new Database(path);
  try {
    database.run(`PRAGMA busy_timeout = ${waitMs}`);
    database.run("PRAGMA locking_mode = EXCLUSIVE");
    // A journal on disk would need room, and a runner must start on a full disk to adopt its executors.
    database.run("PRAGMA journal_mode = MEMORY");
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
  // Version 0.1.0 wrote none of these.
  stateDir: v.exactOptional(v.string()),
  restartWords: v.exactOptional(v.array(v.string())),
  gatewayPort: v.optional(v.number()),
});
/** The holder of a lock, from the JSON file beside the lock. */
export type Holder = v.InferOutput<typeof Holder>;

/** The last runner that held the lock, alive or not. */
export function readHolder(folder: string, key: string): Holder | null {
  try {
    return v.parse(Holder, JSON.parse(readFileSync(join(folder, `${key}.json`), "utf8")));
  } catch {
    return null;
  }
}

/** The keys of all identities that had a lock in the folder. */
function keysIn(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => (name.endsWith(".lock") ? [name.slice(0, -".lock".length)] : []));
}

/** The live runners of this user: those whose lock is held. */
export function liveRunners(folder: string): Holder[] {
  if (!existsSync(folder)) return [];
  return keysIn(folder).flatMap((key) => {
    const holder = isHeld(folder, key) ? readHolder(folder, key) : null;
    return holder === null ? [] : [holder];
  });
}

function isAlive(holder: Holder | null): boolean {
  return holder !== null && processStartTime(holder.pid) === holder.startedAt;
}

/** Whether a runner with this key lives. */
export function isHeld(folder: string, key: string): boolean {
  const lock = lockKey(folder, key);
  lock?.[Symbol.dispose]();
  return lock === null;
}

/** Keeps a runner with this key from starting; null if one lives. Creates nothing if the folder was deleted. */
export function lockKey(folder: string, key: string, waitMs = 0): Disposable | null {
  const path = join(folder, `${key}.lock`);
  if (!existsSync(path)) return { [Symbol.dispose]() {} };
  const database = tryLock(path, waitMs);
  return database === null ? null : { [Symbol.dispose]: () => database.close() };
}

/**
 * Claims host, project directory and executor for one runner per coordinator on this machine: of any user, with any
 * spelling of the coordinator's host name. Coordinators are told apart by their port. Returns null if another runner
 * has the claim. Without the claim a runner must not reuse a registration. On Linux the claim is an abstract socket,
 * which ends with the process. Elsewhere the claim is a lock in the folder for temporary files.
 */
export function claimMachine({
  hostname,
  projectDir,
  executorType,
  coordinatorUrl,
}: RunnerIdentity): Disposable | null {
  const name = new Bun.CryptoHasher("sha256")
    .update(JSON.stringify([hostname, projectDir, executorType, portOf(coordinatorUrl)]))
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

function portOf(url: string): string {
  const { port, protocol } = new URL(url);
  return port || protocol;
}

function normalised(identity: RunnerIdentity): RunnerIdentity {
  const url = new URL(identity.coordinatorUrl);
  if (url.hostname === "localhost" || url.hostname === "[::1]") url.hostname = "127.0.0.1";
  return { ...identity, coordinatorUrl: url.toString() };
}

/** The folder of this user's locks. Runners may set `--state-dir` differently: it has them only as a way out. */
export function locksFolder(places: StatePlaces): string {
  try {
    return sharedFolder("locks", places);
  } catch {
    return join(places.stateDir, "locks");
  }
}
