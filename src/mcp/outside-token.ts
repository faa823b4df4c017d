import { join } from "node:path";
import { describeError, UserError } from "../errors.ts";
import { createSecretFile, readSecretFile } from "../trust/secret-file.ts";

export interface OutsideToken {
  readonly value: string;
  /** Where the token comes from, for the log. */
  readonly source: string;
}

const FILE = "mcp-token";
const MIN_LENGTH = 16;

/**
 * The token for agents outside of all runs: the configured token, or else a token generated once in the state folder.
 */
export function outsideToken(configured: string | undefined, stateDir: string): OutsideToken {
  if (configured !== undefined) return { value: configured, source: "the configured token" };
  const path = join(stateDir, FILE);
  try {
    const value = readOrCreate(path);
    if (value.length < MIN_LENGTH) throw new Error(`it has fewer than ${MIN_LENGTH} characters`);
    return { value, source: path };
  } catch (error) {
    throw new UserError(`Cannot read the token for --mcp-port from ${path}: ${describeError(error)}`, {
      hint: "Delete the file to get a new token, or set AGENT_RUNNER_MCP_TOKEN",
      cause: error,
    });
  }
}

/** Creates the file exclusively: if two runners start at the same moment, one creates the token and both use it. */
function readOrCreate(path: string): string {
  const token = Buffer.from(crypto.getRandomValues(new Uint8Array(24))).toString("base64url");
  return createSecretFile(path, `${token}\n`) ? token : (readSecretFile(path) ?? "").trim();
}
