import { createLog, type Log } from "../../src/log.ts";

/** A log that keeps its lines without the time: `[INFO] test: ...`. */
export function recordedLog(): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line.trimEnd().slice("2025-01-15 10:00:00 ".length));
  return { log: createLog("test", { format: "text", verbose: true, write }), lines };
}
