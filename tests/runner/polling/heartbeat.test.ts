import { afterEach, expect, jest, setSystemTime, test } from "bun:test";
import { CoordinatorClient } from "../../../src/client/coordinator-client.ts";
import { noAuthorization } from "../../harness/authorization.ts";
import { silentLog } from "../../../src/log.ts";
import { startHeartbeat } from "../../../src/runner/polling/heartbeat.ts";
import { Link } from "../../../src/runner/link/link.ts";
import type { Registration } from "../../../src/runner/link/registration.ts";
import { Bell } from "../../../src/runner/runs/bell.ts";
import { RunRegistry } from "../../../src/runner/runs/run-registry.ts";
import { type StubServer, stubServer } from "../../client/stub-server.ts";
import { until } from "../../harness/until.ts";
import { assignedRun } from "../assigned-run.ts";

const HOUR_MS = 3_600_000;

afterEach(() => {
  setSystemTime();
  jest.useRealTimers();
});

interface Setup extends AsyncDisposable {
  readonly server: StubServer;
  readonly registry: RunRegistry;
  readonly link: Link;
  renewals: number;
}

function setup(options: { intervalSeconds?: number; answer?: () => Response } = {}): Setup {
  const server = stubServer(options.answer ?? (() => Response.json({ ok: true })));
  const link = new Link(silentLog, 0, () => {});
  const registry = new RunRegistry(0, new Bell());
  const registration = {
    runnerId: "lnch_1",
    heartbeatIntervalSeconds: options.intervalSeconds ?? 0.02,
    renew: () => Promise.resolve(void made.renewals++),
  } as unknown as Registration;
  const heartbeat = startHeartbeat({
    coordinator: new CoordinatorClient(server.url, noAuthorization),
    registration,
    registry,
    reconciler: { exchange: () => Promise.resolve() },
    link,
    log: silentLog,
  });
  const made: Setup = {
    server,
    registry,
    link,
    renewals: 0,
    async [Symbol.asyncDispose]() {
      heartbeat[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
  return made;
}

const beats = ({ server }: Setup): number => server.received.filter(({ url }) => url === "/runner/heartbeat").length;
const moreBeats = (at: Setup): Promise<unknown> => {
  const before = beats(at);
  return until("more heartbeats", () => beats(at) > before + 1);
};

test("startHeartbeat: names the claimed runs that have not started, which renews their leases", async () => {
  await using at = setup();
  const [queued, running] = [
    at.registry.add(assignedRun({ runId: "run_queued" })),
    at.registry.add(assignedRun({ runId: "run_running" })),
  ];
  running?.run.moveTo("starting");
  running?.run.moveTo("running");
  await moreBeats(at);
  expect(JSON.parse(at.server.received.at(-1)?.body ?? "")).toEqual({
    runner_id: "lnch_1",
    claimed_run_ids: [queued?.run.runId],
  });
});

test("startHeartbeat: takes a clock that jumps ahead for a silence, registers again once, and continues", async () => {
  await using at = setup({ intervalSeconds: 0.5 });
  await moreBeats(at);
  setSystemTime(new Date(Date.now() + HOUR_MS));
  await until("a registration", () => at.renewals > 0);
  await moreBeats(at);
  expect(at.renewals).toBe(1);
});

test("startHeartbeat: continues after a clock that jumps back", async () => {
  await using at = setup({ intervalSeconds: 0.5 });
  await moreBeats(at);
  setSystemTime(new Date(Date.now() - 24 * HOUR_MS));
  await moreBeats(at);
  expect(at.renewals).toBe(0);
});

test("startHeartbeat: two minutes are a silence if heartbeats are a minute apart", async () => {
  jest.useFakeTimers();
  await using at = setup({ intervalSeconds: 60 });
  jest.setSystemTime(new Date(Date.now() + 121_000));
  jest.advanceTimersByTime(60_000);
  expect(at.renewals).toBe(1);
});

test("startHeartbeat: registers again after a 401", async () => {
  await using at = setup({ answer: () => Response.json({ detail: "Runner not registered" }, { status: 401 }) });
  await until("a registration", () => at.renewals > 0);
});
