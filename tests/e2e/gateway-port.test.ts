import { expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { recordFileOf } from "../../src/process/run-folders.ts";
import { BINARY, type StartedBinary } from "../harness/binary.ts";
import type { CoordinatorApi } from "../harness/coordinator-api.ts";
import { START_MS, TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const isLinux = process.platform === "linux";
const mayBecomeNobody = isLinux && process.getuid?.() === 0 && Bun.which("setpriv") !== null;
const NOBODY = "65534";

/** A runner with one executor, and what that executor calls. */
async function withExecutor(world: World): Promise<{
  runner: StartedBinary;
  again: () => StartedBinary;
  port: number;
  token: string;
  runId: string;
  api: CoordinatorApi;
}> {
  const { api } = await world.coordinator();
  const again = (): StartedBinary => world.runner(api.url, "sleeps");
  const runner = again();
  await runner.line(/Runner started/, START_MS);
  const { run_id } = await api.submit("Sleep");
  await world.file(`${run_id}.ready`, START_MS);
  const record = readFileSync(recordFileOf(join(world.stateDir, "runs", run_id)), "utf8");
  const { gatewayPort, token } = JSON.parse(record) as { gatewayPort: number; token: string };
  return { runner, again, port: gatewayPort, token, runId: run_id, api };
}

async function statusAt(port: number, token: string): Promise<number> {
  return (await fetch(`http://127.0.0.1:${port}/${token}/agents`, { keepalive: false })).status;
}

/** Every address and option by which a server may try to get the port. Prints the ways that worked. */
const TAKE = `
const got = [];
for (const hostname of ["127.0.0.1", "0.0.0.0", "::"])
  for (const reusePort of [false, true]) {
    try {
      const address = { hostname, port: Number(process.env.TAKEN_PORT), reusePort };
      Bun.serve({ ...address, fetch: () => new Response() }).stop(true);
      got.push([hostname, reusePort]);
    } catch {}
  }
console.log(JSON.stringify(got));
`;

/** Tries the port as another user. That user may be unable to reach the program by its path. */
function takenByNobody(port: number): unknown {
  const program = openSync(BINARY, "r");
  const nobody = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
  const { stdout } = Bun.spawnSync([...nobody, "/proc/self/fd/3", "-e", TAKE], {
    cwd: "/",
    env: { BUN_BE_BUN: "1", HOME: "/nonexistent", PATH: "/usr/bin:/bin", TAKEN_PORT: String(port) },
    stdio: ["ignore", "pipe", "pipe", program],
  });
  closeSync(program);
  return JSON.parse(stdout.toString());
}

test.skipIf(!mayBecomeNobody)(
  "while a runner is down, no other user gets the port that its executors call",
  async () => {
    await using world = new World();
    const { runner, again, port, token } = await withExecutor(world);
    runner.signal("SIGKILL");
    await runner.exited;
    await expect(statusAt(port, token)).rejects.toThrow();
    expect(takenByNobody(port)).toEqual([]);
    await again().line(/Runner started/, START_MS);
    expect(await statusAt(port, token)).toBe(200);
  },
);

test.skipIf(!isLinux)("a runner keeps the port over three kills, and frees it with its last executor", async () => {
  await using world = new World();
  const { runner, again, port, token, api, runId } = await withExecutor(world);
  let current = runner;
  for (let kill = 0; kill < 3; kill++) {
    current.signal("SIGKILL");
    await current.exited;
    expect(() => Bun.serve({ hostname: "127.0.0.1", port, fetch: () => new Response() })).toThrow();
    current = again();
    await current.line(/Runner started/, START_MS);
    expect(await statusAt(port, token)).toBe(200);
  }
  await api.stop(runId);
  await api.reached(runId, "stopped");
  current.signal("SIGINT");
  await current.exited;
  await using _free = Bun.serve({ hostname: "127.0.0.1", port, fetch: () => new Response() });
});
