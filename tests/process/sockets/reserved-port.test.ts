import { expect, test } from "bun:test";
import { reservePort } from "../../../src/process/sockets/reserved-port.ts";
import { freePort } from "../../faults/free-port.ts";
import { until } from "../../harness/until.ts";
import { place, started } from "../started-process.ts";

const isLinux = process.platform === "linux";

function listen(port: number, reusePort = false): Bun.Server<undefined> {
  return Bun.serve({ hostname: "127.0.0.1", port, reusePort, fetch: () => new Response("here") });
}

test.if(isLinux)("reservePort: clients are refused, and only a server that shares the port can listen", async () => {
  const port = await freePort();
  using reserved = reservePort(port, { isOwn: false });
  expect(reserved?.fd).toBeGreaterThan(2);
  await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
  expect(() => listen(port)).toThrow();
  await using _server = listen(port, true);
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("here");
});

test.if(isLinux)(
  "reservePort: a reserved port can be reserved again as the own one, while nobody listens",
  async () => {
    const port = await freePort();
    using _first = reservePort(port, { isOwn: false });
    expect(() => reservePort(port, { isOwn: false })).toThrow("in use");
    {
      using second = reservePort(port, { isOwn: true });
      expect(second).not.toBeNull();
      await using _server = listen(port, true);
      expect(() => reservePort(port, { isOwn: true })).toThrow("in use");
    }
  },
);

test.if(isLinux)("a shim holds the reservation as long as its executor lives, and the executor gets none", async () => {
  using at = place();
  const port = await freePort();
  const reserved = reservePort(port, { isOwn: false });
  // A variable that the shell would drop: with it the executor gets its environment by a descriptor, too.
  for (const env of [{}, { "my.var": "1" }]) {
    const show = "ls -l /proc/$$/fd; while [ ! -e go ]; do sleep 0.02; done; rm go";
    const PATH = process.env["PATH"] ?? "";
    await using run = started(at.request(["sh", "-c", show], { env: { PATH, ...env }, held: reserved?.fd ?? null }));
    await until("the list", () => run.stdout().includes(" 2 -> "));
    expect(run.stdout()).not.toContain("socket:");
    expect(() => listen(port)).toThrow();
    await Bun.write(`${at.path}/project/go`, "");
    expect((await run.process.exited).code).toBe(0);
  }
  const held = at.request(["sh", "-c", "while [ ! -e go ]; do sleep 0.02; done"], { held: reserved?.fd ?? null });
  await using run = started(held);
  reserved?.[Symbol.dispose]();
  expect(() => listen(port)).toThrow();
  await Bun.write(`${at.path}/project/go`, "");
  await run.process.exited;
  await using _free = listen(port);
});
