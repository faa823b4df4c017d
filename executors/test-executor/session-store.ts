import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { errorCode } from "../../src/errors.ts";

const StoredSession = v.object({
  session_id: v.string(),
  executor_session_id: v.string(),
  project_dir: v.string(),
  turns: v.array(v.object({ message: v.string(), answer: v.string() })),
});
export type StoredSession = v.InferOutput<typeof StoredSession>;

type Environment = Record<string, string | undefined>;

/** The folder of all sessions: `AGENT_EXECUTOR_STATE_DIR`, or else the system's folder for program state. */
export function sessionFolder(env: Environment, platform: NodeJS.Platform = process.platform): string {
  const chosen = env["AGENT_EXECUTOR_STATE_DIR"];
  if (chosen) return chosen;
  const base =
    platform === "win32"
      ? (env["LOCALAPPDATA"] ?? join(homedir(), "AppData", "Local"))
      : env["XDG_STATE_HOME"] || join(env["HOME"] || homedir(), ".local", "state");
  return join(base, "agent-runner", "test-executor");
}

/** Throws an Error for an unknown session. */
export function loadSession(folder: string, sessionId: string): StoredSession {
  let text: string;
  try {
    text = readFileSync(sessionFile(folder, sessionId), "utf8");
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
    throw new Error(
      `cannot resume session ${sessionId}: this executor has not started it (no such session in ${folder})`,
      {
        cause: error,
      },
    );
  }
  return v.parse(StoredSession, JSON.parse(text));
}

/** Writes a draft and renames it: a kill at any moment leaves either the old or the new state. */
export function saveSession(folder: string, session: StoredSession): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = sessionFile(folder, session.session_id);
  const draft = `${file}.${process.pid}.tmp`;
  writeFileSync(draft, `${JSON.stringify(session, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, file);
}

/** Hashes the session id, which may contain characters that a file name may not. */
function sessionFile(folder: string, sessionId: string): string {
  const digest = new Bun.CryptoHasher("sha256").update(sessionId).digest("hex").slice(0, 32);
  return join(folder, `${digest}.json`);
}
