import { createServer } from "node:net";

const FIRST = 10_000;
/** Bun runs test files in several processes (`--parallel`), and numbers them. */
const EACH = 1_000;
const SHARE = 10;
const given = new Set<number>();

/**
 * A free port that stays free while a coordinator that was ended restarts on it: outside the system's ephemeral range,
 * given to nobody else in this process, and out of the share of this process.
 */
export async function freePort(): Promise<number> {
  const first = FIRST + EACH * (Number(process.env["BUN_TEST_WORKER_ID"] ?? 0) % SHARE);
  for (;;) {
    const port = first + Math.floor(Math.random() * EACH);
    if (given.has(port)) continue;
    given.add(port);
    if (given.size === EACH) given.clear();
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
