import { join } from "node:path";
import { describeError, UserError } from "../../errors.ts";
import { privateFolder } from "../../process/private-folder.ts";
import { createSecretFile, readSecretFile } from "../../trust/secret-file.ts";

const FILE = "coordinator.token";
const TOKEN_BYTES = 32;
/** No token that this program made is shorter. */
const MIN_LENGTH = 32;
/** Another start may have created the file and not written it yet. */
const WRITE_WAIT_MS = 500;
const CHECK_EVERY_MS = 10;

export function tokenFileOf(stateDir: string): string {
  return join(stateDir, FILE);
}

/**
 * The token of the coordinator with this state folder. Makes the token at the first start. Throws a UserError for a
 * file that other users can read or change. The caller has checked the folder.
 */
export function makeTokenFile(stateDir: string): string {
  const path = tokenFileOf(stateDir);
  try {
    privateFolder(stateDir);
    const token = Buffer.from(crypto.getRandomValues(new Uint8Array(TOKEN_BYTES))).toString("base64url");
    if (createSecretFile(path, `${token}\n`)) return token;
  } catch (error) {
    throw unreadable(path, error);
  }
  const endMs = performance.now() + WRITE_WAIT_MS;
  for (;;) {
    const token = readTokenFile(path);
    if (token !== null) return token;
    if (performance.now() > endMs) throw unreadable(path, new Error("it is gone or empty"));
    Bun.sleepSync(CHECK_EVERY_MS);
  }
}

/** The token in the file; null if the file is missing or empty. Throws a UserError for a file that is not safe. */
export function readTokenFile(path: string): string | null {
  try {
    const text = readSecretFile(path)?.trim() ?? "";
    if (text === "") return null;
    if (text.length < MIN_LENGTH || !/^[\w.~+/=-]+$/.test(text)) throw new Error("it holds no token of this program");
    return text;
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): UserError {
  return new UserError(`Cannot use the coordinator's token in ${path}: ${describeError(error)}`, {
    hint: "Delete the file and start the coordinator again to get a new token, or set AGENT_COORDINATOR_TOKEN",
    cause: error,
  });
}
