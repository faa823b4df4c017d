import { UserError } from "../errors.ts";

const PROBE_TIMEOUT_MS = 2_000;

/** The error for a port in use: says whether a coordinator or another program has the port. */
export async function portInUse(url: string, port: number, cause: unknown): Promise<UserError> {
  if (await isCoordinator(url)) {
    return new UserError(`A coordinator is already running at ${url}`, {
      hint: `Start a runner for it with: agent-runner -c ${url}`,
      cause,
    });
  }
  return new UserError(`Port ${port} is in use by another program`, {
    hint: "Choose another port with --port, or --port 0 for any free port",
    cause,
  });
}

/** Uses node:http, which ignores proxy variables. Loads it late: the import takes as long as the program's start. */
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
