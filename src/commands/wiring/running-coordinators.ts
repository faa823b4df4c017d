import { readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import type { Config } from "../../config/load-config.ts";
import { describeError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { privateFolder, sharedFolder, type StatePlaces } from "../../process/private-folder.ts";
import { processStartTime } from "../../process/process-table.ts";
import { isLoopback } from "../../protocol/loopback.ts";
import { shellWord } from "../../shell-word.ts";
import { createSecretFile, readSecretFile } from "../../trust/secret-file.ts";

/*
 * A note per coordinator of this user that made its token, or has TLS, so that this user's commands find both by the
 * coordinator's URL. A command sends the token only while the process of the note lives: another user could listen on
 * the same port later.
 */

const Note = v.object({
  /** For a client on this machine; never `localhost`, which also means an address that another user can listen on. */
  url: v.string(),
  /** Null for a configured token, and without one. */
  tokenFile: v.nullable(v.string()),
  /** The certificate that the coordinator shows (PEM); null without TLS. */
  certificate: v.nullish(v.string(), null),
  pid: v.pipe(v.number(), v.integer(), v.minValue(2)),
  startedAt: v.string(),
});
export type RunningCoordinator = v.InferOutput<typeof Note>;

const FOLDER = "coordinators";

type Folders = Pick<Config, "folders" | "stateDir">;

interface Listening {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  readonly certificate: string | null;
}

/** Writes the note of this process. Disposing removes it. A note that cannot be written is a warning. */
export function noteCoordinator(
  config: StatePlaces,
  { host, port, url, certificate }: Listening,
  tokenFile: string | null,
  log: Log,
): Disposable {
  const note: RunningCoordinator = {
    url,
    tokenFile,
    certificate,
    pid: process.pid,
    startedAt: processStartTime(process.pid) ?? "",
  };
  const written = noteFolders(config).flatMap((folder) => {
    const path = join(folder, nameOf(host, port));
    try {
      if (folder === ownFolder(config)) privateFolder(folder);
      else sharedFolder(FOLDER, config);
      removeDeadNotes(folder);
      replaceFile(path, JSON.stringify(note));
      return [path];
    } catch (error) {
      const how = `commands need AGENT_RUNNER_STATE_DIR=${shellWord(config.stateDir)}`;
      log.warn(
        `Cannot write ${path}, by which commands find the coordinator's token (${describeError(error)}): ${how}`,
      );
      return [];
    }
  });
  return {
    [Symbol.dispose]() {
      for (const path of written) if (isOf(path, note)) rmSync(path, { force: true });
    },
  };
}

/** The live coordinator of this user that `url` leads to; null for any other. */
export function findCoordinator(config: Folders, url: string): RunningCoordinator | null {
  const { protocol, hostname, port, pathname } = new URL(url);
  // A path leads to a proxy or to a gateway.
  if (pathname !== "/") return null;
  for (const host of listenersFor(hostname)) {
    for (const folder of noteFolders(config)) {
      const note = readNote(join(folder, nameOf(host, Number(port || (protocol === "http:" ? 80 : 443)))));
      if (note === null || !isLive(note)) continue;
      // The certificate proves who answers. Without one only loopback is sure to be this machine.
      if (note.certificate !== null || (protocol === "http:" && isLoopback(hostname))) return note;
    }
  }
  return null;
}

function isLive({ pid, startedAt }: RunningCoordinator): boolean {
  return startedAt !== "" && processStartTime(pid) === startedAt;
}

/** The addresses on which a coordinator listens that a client reaches by this name. */
function listenersFor(hostname: string): string[] {
  const name = hostname.replace(/^\[(.*)\]$/, "$1");
  if (name === "localhost") return ["127.0.0.1", "0.0.0.0", "::1", "::"];
  return name === "::1" ? ["::1", "::"] : [name, "0.0.0.0", "::"];
}

/** The folder of the user, for every command, and that of the state folder, in case the first cannot be used. */
function noteFolders({ folders, stateDir }: Folders): string[] {
  return [...new Set([join(folders.state, FOLDER), ownFolder({ stateDir })])];
}

function ownFolder({ stateDir }: Pick<Folders, "stateDir">): string {
  return join(stateDir, FOLDER);
}

function nameOf(host: string, port: number): string {
  return `${host.replace(/^\[(.*)\]$/, "$1").replaceAll(":", "_")}-${port}.json`;
}

function readNote(path: string): RunningCoordinator | null {
  try {
    const text = readSecretFile(path);
    return text === null ? null : v.parse(Note, JSON.parse(text));
  } catch {
    return null;
  }
}

function isOf(path: string, { pid, startedAt }: RunningCoordinator): boolean {
  const note = readNote(path);
  return note?.pid === pid && note.startedAt === startedAt;
}

function removeDeadNotes(folder: string): void {
  for (const name of readdirSync(folder)) {
    const note = name.endsWith(".json") ? readNote(join(folder, name)) : null;
    if (note !== null && !isLive(note)) rmSync(join(folder, name), { force: true });
  }
}

/** A reader sees the old note or the new one. */
function replaceFile(path: string, text: string): void {
  const temporary = `${path}.${process.pid}`;
  rmSync(temporary, { force: true });
  createSecretFile(temporary, text);
  renameSync(temporary, path);
}
