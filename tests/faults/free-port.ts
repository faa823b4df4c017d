import { createServer } from "node:net";

const FIRST = 10_000;
const LAST = 19_999;

/**
 * A free port outside the system's ephemeral range, so that it is still free when a killed coordinator restarts on
 * it.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST + 1));
    if (await isFree(port)) return port;
  }
}

/** Whether nothing listens on the port. */
export function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
