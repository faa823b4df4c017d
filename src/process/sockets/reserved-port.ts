import { dlopen, FFIType, ptr } from "bun:ffi";
import { closeSync, readFileSync } from "node:fs";
import { C_LIBRARIES } from "../c-library.ts";

const AF_INET = 2;
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEPORT = 15;
const LOOPBACK = [127, 0, 0, 1];
/** The state of a listening socket in /proc/net/tcp. */
const LISTENS = "0A";

interface Calls {
  readonly socket: (domain: number, type: number, protocol: number) => number;
  readonly bind: (fd: number, address: number, addressLength: number) => number;
  readonly setsockopt: (fd: number, level: number, name: number, value: number, length: number) => number;
}
let calls: Calls | null | undefined;

/** A descriptor that reserves a port for this user. Each copy of it keeps the reservation. */
export interface ReservedPort extends Disposable {
  readonly fd: number;
}

/**
 * Reserves a port of 127.0.0.1: no other user can take it, also while nobody listens. The socket is bound and never
 * listens, so clients are refused as at a free port. A server of this user binds beside it with SO_REUSEPORT, which
 * Linux allows to one user only. `isOwn`: the port may be reserved already, by processes of this user; else it must be
 * free. Null where the system cannot do it. Throws if the port is in use.
 */
export function reservePort(port: number, { isOwn }: { readonly isOwn: boolean }): ReservedPort | null {
  calls ??= load();
  if (calls === null) return null;
  const fd = bindExclusively(calls, port) ?? (isOwn && !isListenedOn(port) ? bindShared(calls, port) : null);
  if (fd === null) throw new Error(`Port ${port} is in use`);
  let isOpen = true;
  return {
    fd,
    // Once: the number may belong to another file by then.
    [Symbol.dispose]() {
      if (isOpen) closeSync(fd);
      isOpen = false;
    },
  };
}

/** Sets the option after the bind: the bind fails if any other socket has the port. */
function bindExclusively(system: Calls, port: number): number | null {
  const fd = open(system);
  if (bind(system, fd, port) && share(system, fd)) return fd;
  closeSync(fd);
  return null;
}

function bindShared(system: Calls, port: number): number | null {
  const fd = open(system);
  if (share(system, fd) && bind(system, fd, port)) return fd;
  closeSync(fd);
  return null;
}

function open({ socket }: Calls): number {
  const fd = socket(AF_INET, SOCK_STREAM_CLOEXEC, 0);
  if (fd < 0) throw new Error("No socket can be made");
  return fd;
}

function bind(system: Calls, fd: number, port: number): boolean {
  const address = Buffer.alloc(16);
  address.writeUInt16LE(AF_INET);
  address.writeUInt16BE(port, 2);
  address.set(LOOPBACK, 4);
  return system.bind(fd, ptr(address), address.length) === 0;
}

function share({ setsockopt }: Calls, fd: number): boolean {
  const on = Buffer.from([1, 0, 0, 0]);
  return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, ptr(on), on.length) === 0;
}

/** With SO_REUSEPORT two servers of one user could listen on one port, and each would get some of the calls. */
function isListenedOn(port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const listener = new RegExp(`^ *\\d+: [0-9A-F]{8}:${hex} [0-9A-F]{8}:0000 ${LISTENS} `, "m");
  return listener.test(readFileSync("/proc/net/tcp", "latin1"));
}

function load(): Calls | null {
  if (process.platform !== "linux") return null;
  for (const library of C_LIBRARIES) {
    try {
      const { i32, u32 } = FFIType;
      return dlopen(library, {
        socket: { args: [i32, i32, i32], returns: i32 },
        bind: { args: [i32, FFIType.ptr, u32], returns: i32 },
        setsockopt: { args: [i32, i32, i32, FFIType.ptr, u32], returns: i32 },
      }).symbols;
    } catch {
      // Tries the next C library.
    }
  }
  return null;
}
