import { UserError } from "../errors.ts";

const PROBE_TIMEOUT_MS = 2_000;

/** What to tell the user who cannot have this port: that a coordinator is there to be joined, or that something else is. */
export async function portInUse(url: string, port: number, cause: unknown): Promise<UserError> {
  if (await isCoordinator(url)) {
    return new UserError(`a coordinator is already running at ${url}`, {
      hint: `join it with: agent-runner -c ${url} -x test-executor`,
      cause,
    });
  }
  return new UserError(`port ${port} is in use by another program`, {
    hint: "choose another one with --port, or --port 0 to let the system choose",
    cause,
  });
}

/** Asked with node:http, which no proxy variable sends elsewhere; loaded here, because it takes as long as the start of the program. */
async function isCoordinator(url: string): Promise<boolean> {
  const { get } = await import("node:http");
  return new Promise((resolve) => {
    const request = get(`${url}/health`, { timeout: PROBE_TIMEOUT_MS }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
        if (body.length > 1_000) request.destroy();
      });
      response.on("end", () => resolve(/"status"\s*:\s*"healthy"/.test(body)));
      response.on("close", () => resolve(false));
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(false));
  });
}
