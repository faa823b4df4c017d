import { readFileSync, statSync } from "node:fs";

const ROOT = 0;
/** On macOS the group of the administrators, who can become root. */
const MACOS_ADMIN = 80;

/**
 * The users who can do anything as this user already: this user, root, and the owner of this program's file. With the
 * last, a checkout or a binary in a container's bind mount works as root.
 */
export function isTrustedOwner(uid: number): boolean {
  return uid === ROOT || uid === process.geteuid?.() || uid === programOwner();
}

/**
 * Whether the group has no members but trusted users, as the private group of a user where the umask is 002. Reads
 * /etc/passwd and /etc/group: a group of another directory (LDAP) is trusted only if its id is that of this user.
 */
export function isTrustedGroup(gid: number): boolean {
  if (gid === ROOT || (process.platform === "darwin" && gid === MACOS_ADMIN)) return true;
  const users = readTable("/etc/passwd");
  const uids = new Map(users.map(([name = "", , uid]) => [name, Number(uid)]));
  const named = readTable("/etc/group").flatMap(([, , id, members = ""]) =>
    Number(id) === gid ? members.split(",").filter(Boolean) : [],
  );
  const primary = users.flatMap(([name = "", , , id]) => (Number(id) === gid ? [name] : []));
  const members = [...named, ...primary];
  if (members.length === 0) return gid === process.geteuid?.();
  return members.every((name) => isTrustedOwner(uids.get(name) ?? -1));
}

/**
 * Whether the system shows the id for every user that this user namespace (a rootless container) does not know, such as
 * the real root, who owns `/`.
 */
export function isUnmappedOwner(uid: number): boolean {
  return uid === (unmapped ??= unmappedOwner());
}

let program: number | undefined;
let unmapped: number | undefined;

function programOwner(): number {
  const file = Bun.isStandaloneExecutable ? process.execPath : Bun.main;
  return (program ??= statSync(file, { throwIfNoEntry: false })?.uid ?? ROOT);
}

/** -1 without a namespace. */
function unmappedOwner(): number {
  try {
    const map = readFileSync("/proc/self/uid_map", "latin1").trim().split(/\s+/).map(Number);
    const overflow = Number(readFileSync("/proc/sys/kernel/overflowuid", "latin1"));
    for (let i = 0; i + 2 < map.length; i += 3) {
      const [from = 0, , count = 0] = map.slice(i, i + 3);
      if (overflow >= from && overflow < from + count) return -1;
    }
    return overflow;
  } catch {
    return -1;
  }
}

function readTable(path: string): string[][] {
  try {
    return readFileSync(path, "utf8")
      .split("\n")
      .filter((line) => line.includes(":"))
      .map((line) => line.split(":"));
  } catch {
    return [];
  }
}
