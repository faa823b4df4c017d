import { dlopen, FFIType, ptr } from "bun:ffi";
import { C_LIBRARIES } from "../c-library.ts";

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const MSG_NOSIGNAL = 0x4000;
const LONGEST_PATH = 107;

interface Calls {
  readonly socket: (domain: number, type: number, protocol: number) => number;
  readonly sendto: (
    fd: number,
    data: number,
    length: bigint,
    flags: number,
    address: number,
    addressLength: number,
  ) => bigint;
  readonly close: (fd: number) => number;
}
let calls: Calls | null | undefined;

/**
 * Sends one message (`READY=1`, `WATCHDOG=1`, ...) to the service manager's socket (sd_notify(3)). Returns false if
 * it cannot. Calls the C library, because Bun has no Unix datagram sockets. The program `systemd-notify` is no
 * alternative: it costs a process per message and is not installed everywhere.
 */
export function notifySocket(path: string, message: string): boolean {
  const address = addressOf(path);
  calls ??= load();
  if (calls === null || address === null) return false;
  const fd = calls.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
  if (fd < 0) return false;
  const data = Buffer.from(message);
  try {
    return (
      Number(calls.sendto(fd, ptr(data), BigInt(data.length), MSG_NOSIGNAL, ptr(address), address.length)) ===
      data.length
    );
  } finally {
    calls.close(fd);
  }
}

/** A `sockaddr_un`. A path that starts with `@` is in the abstract namespace. */
function addressOf(path: string): Buffer | null {
  const name = Buffer.from(path);
  if (!/^[/@]/.test(path) || name.length > LONGEST_PATH) return null;
  if (path.startsWith("@")) name[0] = 0;
  const family = Buffer.alloc(2);
  family.writeUInt16LE(AF_UNIX);
  return Buffer.concat([family, name]);
}

function load(): Calls | null {
  if (process.platform !== "linux") return null;
  for (const library of C_LIBRARIES) {
    try {
      const { symbols } = dlopen(library, {
        socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
        sendto: {
          args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.ptr, FFIType.u32],
          returns: FFIType.i64,
        },
        close: { args: [FFIType.i32], returns: FFIType.i32 },
      });
      return symbols;
    } catch {
      // Tries the next C library.
    }
  }
  return null;
}
