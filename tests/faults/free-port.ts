import { createServer } from "node:net";

const FIRST = 10_000;
const LAST = 19_999;

/**
 * A port that is free now, and that the system gives to nobody by itself: a coordinator that is killed and started again on it finds it
 * free.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST + 1));
    if (await isFree(port)) return port;
  }
}

/** Whether nobody listens there. */
export function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
