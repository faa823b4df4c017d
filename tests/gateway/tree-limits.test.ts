import { expect, test } from "bun:test";
import { CoordinatorClient } from "../../src/client/coordinator-client.ts";
import { noAuthorization } from "../harness/authorization.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import type { TreeLimits } from "../../src/protocol/creation-limits.ts";
import { silentLog } from "../../src/log.ts";
import { Fixture } from "../coordinator/fixture.ts";
import { FakeCoordinator } from "../fakes/fake-coordinator.ts";

interface Answer {
  readonly status: number;
  readonly body: { readonly session_id?: string; readonly detail?: string };
}

interface Started extends AsyncDisposable {
  readonly url: string;
}

const COORDINATORS: readonly (readonly [name: string, start: () => Promise<Started>])[] = [
  ["the embedded coordinator", startEmbedded],
  ["the first generation", () => FakeCoordinator.start()],
  ["the second generation", () => FakeCoordinator.start({ generation: "second" })],
];

async function startEmbedded(): Promise<Started> {
  const fixture = await Fixture.start();
  return { url: fixture.coordinator.url, [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose]() };
}

function gatewayAt(url: string, limits: Partial<TreeLimits>): Gateway {
  const gateway = new Gateway({
    coordinator: new CoordinatorClient(url, noAuthorization),
    scope: "tree",
    limits: { maxDepth: 0, maxChildren: 0, maxTreeRuns: 0, ...limits },
    bounds: { projectDir: "/work", childrenAnywhere: false, maxAttempts: 1 },
    hostname: "h",
    executorType: "e",
    log: silentLog,
  });
  gateway.open();
  return gateway;
}

async function submit(url: string, sessionId: string): Promise<void> {
  const body = { type: "start_session", session_id: sessionId, prompt: "p", parameters: { prompt: "p" } };
  const response = await fetch(`${url}/runs`, { method: "POST", body: JSON.stringify(body) });
  if (!response.ok) throw new Error(await response.text());
}

/** Creates a run as the executor of a run of `sessionId`. */
async function create(gateway: Gateway, sessionId: string, more: object = {}): Promise<Answer> {
  const grant = gateway.grant(`run_of_${sessionId}`, sessionId);
  return createWith(gateway.urlOf(grant), more);
}

async function createWith(url: string, more: object = {}): Promise<Answer> {
  const body = { type: "start_session", prompt: "p", parameters: { prompt: "p" }, ...more };
  const response = await fetch(`${url}/runs`, { method: "POST", body: JSON.stringify(body) });
  return { status: response.status, body: (await response.json()) as Answer["body"] };
}

for (const [name, start] of COORDINATORS) {
  test(`limits at ${name}: refuses a session below the deepest level, with the limit's settings`, async () => {
    await using coordinator = await start();
    await using gateway = gatewayAt(coordinator.url, { maxDepth: 2 });
    await submit(coordinator.url, "root");
    const first = await create(gateway, "root");
    const second = await create(gateway, first.body.session_id ?? "");
    expect([first.status < 300, second.status < 300]).toEqual([true, true]);
    const third = await create(gateway, second.body.session_id ?? "");
    expect(third.status).toBe(403);
    for (const text of ["level 2", "--max-depth", "RUNNER_MAX_DEPTH", "limits.max_depth"])
      expect(third.body.detail).toContain(text);
  });

  test(`limits at ${name}: refuses a child session too many, also in parallel calls; allows a resume`, async () => {
    await using coordinator = await start();
    await using gateway = gatewayAt(coordinator.url, { maxChildren: 3 });
    await submit(coordinator.url, "root");
    const url = gateway.urlOf(gateway.grant("run_1", "root"));
    const all = await Promise.all(Array.from({ length: 6 }, () => createWith(url)));
    const created = all.filter(({ status }) => status < 300);
    expect(created).toHaveLength(3);
    for (const { status, body } of all.filter((each) => !created.includes(each))) {
      expect(status).toBe(403);
      for (const text of ["3 child sessions", "--max-children", "RUNNER_MAX_CHILDREN", "limits.max_children"])
        expect(body.detail).toContain(text);
    }
    const resume = { type: "resume_session", session_id: created[0]?.body.session_id };
    expect((await createWith(url, resume)).status).toBeLessThan(300);
  });

  test(`limits at ${name}: counts the runs of the whole tree, not of another tree`, async () => {
    await using coordinator = await start();
    await using gateway = gatewayAt(coordinator.url, { maxTreeRuns: 4 });
    await submit(coordinator.url, "root");
    await submit(coordinator.url, "other");
    const left = (await create(gateway, "root")).body.session_id ?? "";
    const right = (await create(gateway, "root")).body.session_id ?? "";
    expect((await create(gateway, left, { type: "resume_session", session_id: left })).status).toBeLessThan(300);
    for (const more of [{}, { type: "resume_session", session_id: right }]) {
      const refused = await create(gateway, right, more);
      expect(refused.status).toBe(403);
      for (const text of ["4 runs", "--max-tree-runs", "RUNNER_MAX_TREE_RUNS", "limits.max_tree_runs"])
        expect(refused.body.detail).toContain(text);
    }
    expect((await create(gateway, "other")).status).toBeLessThan(300);
  });
}

test("limits: 0 means no limit and costs no request", async () => {
  await using fake = await FakeCoordinator.start();
  await using gateway = gatewayAt(fake.url, {});
  await submit(fake.url, "root");
  expect((await create(gateway, "root")).status).toBe(200);
  expect(fake.requests.map(({ route }) => route)).toEqual(["POST /runs", "GET /sessions/:id", "POST /runs"]);
});

test("limits: creates nothing and answers 502 while the size of the tree is unknown", async () => {
  await using fake = await FakeCoordinator.start();
  await using gateway = gatewayAt(fake.url, { maxChildren: 3 });
  await submit(fake.url, "root");
  fake.always("GET /runs", () =>
    Promise.resolve({ kind: "reply", status: 500, body: "{}", contentType: "application/json" }),
  );
  expect((await create(gateway, "root")).status).toBe(502);
  expect(fake.calls("POST /runs")).toHaveLength(1);
});

test("GET /sessions/{id}/tree: depth, children, and the runs of the whole tree", async () => {
  await using c = await Fixture.start();
  for (const [session_id, parent] of [
    ["root", null],
    ["a", "root"],
    ["b", "root"],
    ["leaf", "a"],
    ["other", null],
  ] as const) {
    await c.start({ session_id, parent_session_id: parent });
  }
  await c.resume("b");
  expect((await c.get("/sessions/root/tree")).body).toEqual({ tree: { depth: 0, children: 2, runs: 5 } });
  expect((await c.get("/sessions/leaf/tree")).body).toEqual({ tree: { depth: 2, children: 0, runs: 5 } });
  expect((await c.get("/sessions/nobody/tree")).status).toBe(404);
});
