import type { Log } from "../log.ts";
import { type ReservedPort, reservePort } from "../process/sockets/reserved-port.ts";

export interface PortOptions {
  /**
   * The port of the previous process of this runner, which its executors still use. If in use, chooses another port.
   */
  readonly port?: number | null;
  /** The identity of the runner. The port and the tag of the tokens follow from it; by default the port is random. */
  readonly identity?: string;
  /** Ports of the other runners of this machine, whose executors would come here while those runners are down. */
  readonly avoidedPorts?: ReadonlySet<number>;
}

/** `reserved` is null where the system cannot reserve a port. */
export interface Listening {
  readonly server: Bun.Server<undefined>;
  readonly reserved: ReservedPort | null;
}

type Serve = (
  address: Pick<Bun.Serve.HostnamePortServeOptions<undefined>, "port" | "reusePort">,
) => Listening["server"];

/** Outside the ephemeral range (32768 to 60999 on Linux): the port must be free again after a restart. */
const FIRST_PORT = 20_000;
const LAST_PORT = 31_999;
const ATTEMPTS = 50;

/** Listens on the port of the previous process, or else on a new one. */
export function listen(options: PortOptions, log: Log, serve: Serve): Listening {
  const { port } = options;
  if (port != null) {
    try {
      return listenOn(port, true, serve);
    } catch {
      log.warn(`Port ${port} of the previous runner process is in use: its executors cannot reach their coordinator`);
    }
  }
  for (let attempt = 1; ; attempt++) {
    try {
      return listenOn(candidate(options, attempt), false, serve);
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
    }
  }
}

/**
 * While the runner is down, its executors go on calling: another user who took the port would get their tokens, and
 * could start runs with them. So the port stays reserved. Each executor's shim holds a copy of the reservation.
 */
function listenOn(port: number, isOwn: boolean, serve: Serve): Listening {
  const reserved = reservePort(port, { isOwn });
  try {
    return { server: serve({ port, reusePort: reserved !== null }), reserved };
  } catch (error) {
    reserved?.[Symbol.dispose]();
    throw error;
  }
}

/** One sequence of ports per identity. The last candidates do not avoid the ports of other runners. */
function candidate({ identity, avoidedPorts }: PortOptions, attempt: number): number {
  for (let salt = attempt * ATTEMPTS; ; salt++) {
    const draw = identity === undefined ? Math.random() : drawOf(`${identity}:${salt}`);
    const port = FIRST_PORT + Math.floor(draw * (LAST_PORT - FIRST_PORT + 1));
    if (avoidedPorts?.has(port) !== true || salt % ATTEMPTS === ATTEMPTS - 1) return port;
  }
}

/** A number from 0 to below 1. */
function drawOf(text: string): number {
  return new Bun.CryptoHasher("sha256").update(text).digest().readUInt32BE(0) / 2 ** 32;
}
