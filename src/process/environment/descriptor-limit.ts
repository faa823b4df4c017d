import { readFileSync } from "node:fs";

/** Hard and soft limit of open files. */
interface Limits {
  readonly soft: number;
  readonly hard: number;
}

/** The hard limit that systemd gives a service by default, and the soft limit beside it. */
const SYSTEMD_HARD = 524_288;
const SYSTEMD_SOFT = 1024;

let original: number | null | undefined;

/**
 * The soft limit of open files that executors get; null to leave it. Bun raises the soft limit to the hard one before
 * any code of this program runs. Programs that use select() or close every possible descriptor rely on a low limit. The
 * old value is that of the parent process, unless the parent has another hard limit and so set the limits for us.
 */
export function softDescriptorLimit(): number | null {
  return (original ??= limitBeforeRaise(limitsOf("self"), limitsOf(String(process.ppid))));
}

export function limitBeforeRaise(own: Limits | null, parent: Limits | null): number | null {
  if (own === null || parent === null) return null;
  if (own.hard !== parent.hard) return own.hard === SYSTEMD_HARD ? SYSTEMD_SOFT : null;
  return parent.soft < own.soft ? parent.soft : null;
}

function limitsOf(process: string): Limits | null {
  try {
    const text = readFileSync(`/proc/${process}/limits`, "latin1");
    const match = /^Max open files\s+(\d+)\s+(\d+)/m.exec(text);
    return match === null ? null : { soft: Number(match[1]), hard: Number(match[2]) };
  } catch {
    return null;
  }
}
