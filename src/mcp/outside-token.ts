import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeError, errorCode, UserError } from "../errors.ts";

export interface OutsideToken {
  readonly value: string;
  /** Where it comes from, for the user. */
  readonly source: string;
}

const FILE = "mcp-token";
const SHORTEST = 16;

/** The token that agents outside of all runs have to show: the one that is set, else one that is made once in the state folder. */
export function outsideToken(set: string | undefined, stateDir: string): OutsideToken {
  if (set !== undefined) return { value: set, source: "the one that is set" };
  const path = join(stateDir, FILE);
  try {
    const value = readOrMake(path);
    if (value.length < SHORTEST) throw new Error(`it has fewer than ${SHORTEST} characters`);
    return { value, source: path };
  } catch (error) {
    throw new UserError(`The token for --mcp-port cannot be had from ${path}: ${describeError(error)}`, {
      hint: "Remove the file, and a new token is made; or set AGENT_RUNNER_MCP_TOKEN",
      cause: error,
    });
  }
}

/** Two runners may come to it at the same moment: one of them makes it, both read it. */
function readOrMake(path: string): string {
  try {
    const made = Buffer.from(crypto.getRandomValues(new Uint8Array(24))).toString("base64url");
    writeFileSync(path, `${made}\n`, { mode: 0o600, flag: "wx" });
    return made;
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
    chmodSync(path, 0o600);
    return readFileSync(path, "utf8").trim();
  }
}
