import type { Address } from "../config/values.ts";
import { describeError, errorCode, UserError } from "../errors.ts";
import { isLoopback, isTrustedHost, UNTRUSTED_HOST } from "../protocol/loopback.ts";
import type { Status } from "./status.ts";

export interface ObservationOptions {
  readonly address: Address;
  readonly status: () => Status;
  readonly metrics: () => Promise<Response>;
}

const IDLE_SECONDS = 10;

/**
 * Serves metrics, health checks and status. No token protects them: every answer is read-only and free of secrets. On
 * a loopback address, a web page that rebound its own domain to this machine is refused by its `Host` header. Throws
 * a UserError if it cannot listen on the address.
 */
export function serveObservation({ address, status, metrics }: ObservationOptions): Bun.Server<undefined> {
  const get =
    (answer: () => Response | Promise<Response>) =>
    (request: Request): Response | Promise<Response> => {
      if (request.method !== "GET" && request.method !== "HEAD") return text(405, "Only GET");
      if (isLoopback(address.host) && !isTrustedHost(request.headers.get("host"))) return text(403, UNTRUSTED_HOST);
      return answer();
    };
  try {
    return Bun.serve({
      hostname: address.host,
      port: address.port,
      idleTimeout: IDLE_SECONDS,
      routes: {
        "/healthz": get(() => text(200, `alive${closedIntake(status())}`)),
        "/readyz": get(() => readiness(status())),
        "/status.json": get(() => Response.json(status())),
        "/metrics": get(metrics),
      },
      fetch: () => text(404, "Only /metrics, /healthz, /readyz and /status.json exist"),
      error: (error) => text(500, describeError(error)),
    });
  } catch (error) {
    const where = `${address.host}:${address.port}`;
    const reason = errorCode(error) === "EADDRINUSE" ? "the address is in use" : describeError(error);
    throw new UserError(`Cannot serve metrics on ${where}: ${reason}`, {
      hint: "Choose another address with --metrics, or omit the option",
      cause: error,
    });
  }
}

/** A restart does not mend the machine, so this is no failure: the runner takes runs again by itself. */
function closedIntake({ runner }: Status): string {
  return runner === null || runner.cannot_run === null ? "" : `; takes no runs: ${runner.cannot_run}`;
}

function readiness(status: Status): Response {
  const { ready, runner } = status;
  if (ready || runner === null) return text(200, `ready${closedIntake(status)}`);
  if (runner.state !== "online") return text(503, `not ready: ${runner.state}`);
  return text(503, runner.coordinator_up ? "not ready: not registered" : "not ready: the coordinator does not answer");
}

function text(status: number, body: string): Response {
  return new Response(`${body}\n`, { status, headers: { "content-type": "text/plain; charset=utf-8" } });
}
