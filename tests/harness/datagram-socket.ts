import { dlopen, FFIType, ptr } from "bun:ffi";

export interface DatagramSocket extends Disposable {
  readonly path: string;
  /** Removes and returns the messages that have arrived. */
  take(): string[];
}

const MSG_DONTWAIT = 0x40;

/** A datagram socket like that of a service manager (Linux with glibc only). `path` may start with `@`. */
export function datagramSocket(path: string): DatagramSocket {
  const library = dlopen("libc.so.6", {
    socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
    bind: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
    recv: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64 },
    close: { args: [FFIType.i32], returns: FFIType.i32 },
  });
  const libc = library.symbols;
  const name = Buffer.from(path);
  if (path.startsWith("@")) name[0] = 0;
  const address = Buffer.concat([Buffer.from([1, 0]), name]);
  const fd = libc.socket(1, 2 | 0o2000000, 0);
  if (fd < 0 || libc.bind(fd, ptr(address), address.length) !== 0) throw new Error(`no datagram socket at ${path}`);
  const buffer = Buffer.alloc(4096);
  return {
    path,
    take() {
      const messages: string[] = [];
      for (;;) {
        const length = Number(libc.recv(fd, ptr(buffer), BigInt(buffer.length), MSG_DONTWAIT));
        if (length <= 0) return messages;
        messages.push(buffer.toString("utf8", 0, length));
      }
    },
    [Symbol.dispose]() {
      libc.close(fd);
      library.close();
    },
  };
}
