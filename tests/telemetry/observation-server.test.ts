import { expect, test } from "bun:test";
import { UserError } from "../../src/errors.ts";
import type { RunnerStatus } from "../../src/runner/runner-status.ts";
import { serveObservation } from "../../src/telemetry/observation-server.ts";
import { statusOf } from "../../src/telemetry/status.ts";

const IDENTITY = { command: "runner", coordinatorUrl: "http://c", executor: "x", projectDir: "/p", tags: [] } as const;
const ONLINE: RunnerStatus = {
  state: "online",
  runnerId: "lnch_1",
  isCoordinatorUp: true,
  lastAnswerAtMs: 0,
  lastCallAtMs: 0,
  heartbeatIntervalMs: 60_000,
  fault: null,
  runs: [],
};

function served(runner: RunnerStatus | null): { url: string } & AsyncDisposable {
  const server = serveObservation({
    address: { host: "127.0.0.1", port: 0 },
    status: () => statusOf(IDENTITY, runner, 0),
    metrics: () => Promise.resolve(new Response("some 1\n")),
  });
  return { url: `http://127.0.0.1:${server.port}`, [Symbol.asyncDispose]: () => server.stop(true) };
}

test.each([
  ["online, registered, answered", ONLINE, 200, "ready"],
  ["without a runner", null, 200, "ready"],
  [
    "whose intake is closed",
    { ...ONLINE, fault: "2 runs in a row failed" },
    200,
    "ready; takes no runs: 2 runs in a row failed",
  ],
  ["starting", { ...ONLINE, state: "starting" }, 503, "not ready: starting"],
  ["draining", { ...ONLINE, state: "draining" }, 503, "not ready: draining"],
  [
    "with the coordinator away",
    { ...ONLINE, isCoordinatorUp: false },
    503,
    "not ready: the coordinator does not answer",
  ],
  ["that the coordinator has deregistered", { ...ONLINE, runnerId: null }, 503, "not ready: not registered"],
] as [string, RunnerStatus | null, number, string][])("/readyz of a program %s", async (_, runner, status, text) => {
  await using server = served(runner);
  const answer = await fetch(`${server.url}/readyz`);
  expect([answer.status, (await answer.text()).trim()]).toEqual([status, text]);
  const health = await fetch(`${server.url}/healthz`);
  const closed = runner?.fault == null ? "" : `; takes no runs: ${runner.fault}`;
  expect([health.status, (await health.text()).trim()]).toEqual([200, `alive${closed}`]);
});

test("refuses unknown paths, and methods that change something", async () => {
  await using server = served(ONLINE);
  expect((await fetch(`${server.url}/`)).status).toBe(404);
  expect((await fetch(`${server.url}/metrics`, { method: "POST" })).status).toBe(405);
});

test("refuses a web page that rebound its own domain to this machine", async () => {
  await using server = served(ONLINE);
  expect((await fetch(`${server.url}/status.json`, { headers: { host: "attacker.example" } })).status).toBe(403);
  expect((await fetch(`${server.url}/status.json`, { headers: { host: "localhost:1" } })).status).toBe(200);
});

test("throws a UserError that names an address in use", async () => {
  await using server = served(ONLINE);
  const port = Number(new URL(server.url).port);
  const again = (): unknown =>
    serveObservation({
      address: { host: "127.0.0.1", port },
      status: () => statusOf(IDENTITY, null, 0),
      metrics: () => Promise.reject(new Error()),
    });
  expect(again).toThrow(UserError);
  expect(again).toThrow(`Cannot serve metrics on 127.0.0.1:${port}: the address is in use`);
});
