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
 * Answers what monitors ask. Read-only, and nothing secret is in any answer, so it needs no token; on a loopback address a web page that
 * has rebound its own name to this machine is refused by its `Host` all the same. UserError: the address cannot be listened on.
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
        "/healthz": get(() => text(200, "alive")),
        "/readyz": get(() => readiness(status())),
        "/status.json": get(() => Response.json(status())),
        "/metrics": get(metrics),
      },
      fetch: () => text(404, "There are /metrics, /healthz, /readyz and /status.json"),
      error: (error) => text(500, describeError(error)),
    });
  } catch (error) {
    const where = `${address.host}:${address.port}`;
    const why = errorCode(error) === "EADDRINUSE" ? "it is taken" : describeError(error);
    throw new UserError(`Cannot serve metrics on ${where}: ${why}`, {
      hint: "Give another address with --metrics, or leave it out",
      cause: error,
    });
  }
}

function readiness({ ready, runner }: Status): Response {
  if (ready || runner === null) return text(200, "ready");
  if (runner.state !== "online") return text(503, `not ready: ${runner.state}`);
  return text(503, runner.coordinator_up ? "not ready: not registered" : "not ready: the coordinator does not answer");
}

function text(status: number, body: string): Response {
  return new Response(`${body}\n`, { status, headers: { "content-type": "text/plain; charset=utf-8" } });
}
