import { lstatSync, readlinkSync, type Stats } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { errorCode, UserError } from "../errors.ts";
import { identityOfPath } from "../paths.ts";
import { shellWord, shownPath } from "../shell-word.ts";
import { isTrustedGroup, isTrustedOwner, isUnmappedOwner } from "./owners.ts";

/*
 * The rule of ssh (StrictModes) for files that decide which commands run: the file or folder and every folder above it
 * belong to this user or root, and nobody else can write them. A folder above may have the sticky bit, as /tmp: others
 * cannot replace what is in it. Links are followed, each under the same rule. Windows has neither owners nor modes of
 * this kind: there is no check.
 */

/** Who could change a path: `fault` completes the sentence "PATH ...". `mend`: the command that mends it. */
export interface TrustFault {
  /** The step with the fault: the path itself, or what leads to it. */
  readonly path: string;
  readonly fault: string;
  readonly mend: string;
}

/** `trustedFolders`: the user vouches for these and all below them (`--trusted-folders`). */
export interface TrustOptions {
  readonly trustedFolders: readonly string[];
}

const WRITABLE_BY_GROUP = 0o020;
const WRITABLE_BY_ALL = 0o002;
const STICKY = 0o1000;
/** As the kernel. */
const MAX_LINKS = 40;

/** The first fault on the way to a file or folder; null if only this user and root can change it, or it is missing. */
export function trustFault(path: string, { trustedFolders }: TrustOptions): TrustFault | null {
  if (process.platform === "win32") return null;
  const exempt = new Set(trustedFolders.map(identityOfPath));
  const ahead = partsOf(resolve(path));
  let at = "/";
  let fault = stepFault(at, lstatSync(at), ahead.length === 0);
  let vouchedFor: string | null = exempt.has(at) ? at : null;
  for (let links = 0; ahead.length > 0;) {
    const part = ahead.shift() ?? "";
    const next = part === ".." ? dirname(at) : join(at, part);
    const stats = statOf(next);
    if (stats === null) break;
    if (exempt.has(next)) vouchedFor = next;
    if (vouchedFor !== null && !isWithin(vouchedFor, next)) vouchedFor = null;
    if (vouchedFor === null) fault ??= stepFault(next, stats, ahead.length === 0);
    else fault = null;
    if (!stats.isSymbolicLink()) at = next;
    else if (++links > MAX_LINKS) break;
    else {
      const target = readlinkSync(next);
      if (target.startsWith("/")) at = "/";
      ahead.unshift(...partsOf(target));
    }
  }
  return fault;
}

/** Throws a UserError for a fault. `what` begins the message: "The state folder". */
export function requireTrusted(what: string, path: string, options: TrustOptions): void {
  const fault = trustFault(path, options);
  if (fault !== null) throw untrusted(what, path, fault);
}

export function untrusted(what: string, path: string, fault: TrustFault): UserError {
  return new UserError(`${what} ${describeTrustFault(path, fault)}`, { hint: trustHint(path, fault) });
}

export function describeTrustFault(path: string, fault: TrustFault): string {
  return `${shownPath(path)} is not safe to use: ${trustReason(path, fault)}`;
}

export function trustReason(path: string, { path: step, fault }: TrustFault): string {
  return `${step === path ? "it" : shownPath(step)} ${fault}`;
}

/** What to type next. */
export function trustHint(path: string, { mend }: TrustFault): string {
  return `${mend}; or vouch for it: AGENT_RUNNER_TRUSTED_FOLDERS=${shellWord(path)}`;
}

/** Whether `path` is `folder` or lies in it. Both are absolute. */
export function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder.endsWith("/") ? folder : `${folder}/`);
}

/** The fault of a file or folder of a user who is neither this one nor root; null otherwise. */
export function ownerFault(path: string, { uid }: Stats): TrustFault | null {
  if (process.platform === "win32" || isTrustedOwner(uid)) return null;
  return {
    path,
    fault: `belongs to another user (uid ${uid})`,
    mend: `Use one of your own, or take it: sudo chown ${process.geteuid?.() ?? ""} ${shellWord(path)}`,
  };
}

function stepFault(path: string, stats: Stats, isLast: boolean): TrustFault | null {
  if (isLast || !isUnmappedOwner(stats.uid)) {
    const fault = ownerFault(path, stats);
    if (fault !== null) return fault;
  }
  // A link has no modes; its folder decides who can replace it.
  if (stats.isSymbolicLink() || (!isLast && (stats.mode & STICKY) !== 0)) return null;
  const byAll = (stats.mode & WRITABLE_BY_ALL) !== 0;
  const byGroup = (stats.mode & WRITABLE_BY_GROUP) !== 0 && !isTrustedGroup(stats.gid);
  if (!byAll && !byGroup) return null;
  return {
    path,
    fault: `can be written by other users (mode ${(stats.mode & 0o7777).toString(8).padStart(4, "0")})`,
    mend: `chmod go-w ${shellWord(path)}`,
  };
}

/** Null for a missing file, and for one that this user cannot reach. */
function statOf(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EACCES", "ENAMETOOLONG"].includes(errorCode(error) ?? "")) return null;
    throw error;
  }
}

function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}
