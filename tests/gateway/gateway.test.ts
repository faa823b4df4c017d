import { expect, test } from "bun:test";
import { CoordinatorClient } from "../../src/client/coordinator-client.ts";
import { noAuthorization } from "../harness/authorization.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { silentLog } from "../../src/log.ts";

const ACTIVITY = {
  assistantMessageSent: false,
  sessionStopSent: false,
  sessionStopAt: null,
  resultSent: false,
  lastAssistantText: "",
};

test("Gateway.open: earlier requests wait, so that no token of an adopted run is refused", async () => {
  await using gateway = new Gateway({
    coordinator: new CoordinatorClient("http://127.0.0.1:1", noAuthorization),
    scope: "tree",
    limits: { maxDepth: 0, maxChildren: 0, maxTreeRuns: 0 },
    bounds: { projectDir: "/work", childrenAnywhere: false, maxAttempts: 1 },
    hostname: "h",
    executorType: "e",
    log: silentLog,
    serveTools: () => Promise.resolve(new Response("served")),
  });
  const token = "an-earlier-token-of-the-run";
  const early = fetch(`http://127.0.0.1:${gateway.port}/${token}/mcp`).then((response) => response.text());
  expect(await Promise.race([early, Bun.sleep(20).then(() => "waits")])).toBe("waits");
  gateway.adopt("run_own", "own", { token, activity: ACTIVITY }, () => {});
  gateway.open();
  expect(await early).toBe("served");
});

function gatewayOf(identity: string, more: { port?: number; avoidedPorts?: ReadonlySet<number> } = {}): Gateway {
  const gateway = new Gateway({
    coordinator: new CoordinatorClient("http://127.0.0.1:1", noAuthorization),
    scope: "tree",
    limits: { maxDepth: 0, maxChildren: 0, maxTreeRuns: 0 },
    bounds: { projectDir: "/work", childrenAnywhere: false, maxAttempts: 1 },
    hostname: "this-host",
    executorType: "test-executor",
    log: silentLog,
    identity,
    ...more,
  });
  gateway.open();
  return gateway;
}

test("Gateway: the port follows from the identity, and avoids those of other runners", async () => {
  const first = gatewayOf("a");
  const { port } = first;
  await first[Symbol.asyncDispose]();
  await using again = gatewayOf("a");
  expect(again.port).toBe(port);
  await using beside = gatewayOf("a");
  expect(beside.port).not.toBe(port);
  await again[Symbol.asyncDispose]();
  await using avoiding = gatewayOf("a", { avoidedPorts: new Set([port]) });
  expect(avoiding.port).not.toBe(port);
});

test("Gateway: a token of another runner is a 503, an own one that has ended a 401", async () => {
  const other = gatewayOf("a");
  const grant = other.grant("run_1", "ses_1");
  await other[Symbol.asyncDispose]();
  await using stranger = gatewayOf("b", { port: other.port });
  const own = stranger.grant("run_2", "ses_2");
  stranger.revoke(own);
  const statusOf = async (token: string): Promise<number> =>
    (await fetch(`http://127.0.0.1:${stranger.port}/${token}/sessions/ses_1`)).status;
  expect(await statusOf(grant.token)).toBe(503);
  expect(await statusOf(own.token)).toBe(401);
  expect(await statusOf("guess")).toBe(401);
  expect(grant.token).toMatch(/^[\w-]{32}$/);
});

test("Gateway: on another port the tokens of adopted runs are no longer valid", async () => {
  await using lost = gatewayOf("a");
  const heard = lost.grant("run_1", "ses_1");
  await using moved = gatewayOf("a", { port: lost.port });
  expect(moved.port).not.toBe(lost.port);
  const adopted = moved.adopt("run_1", "ses_1", heard, () => {});
  expect(adopted.token).not.toBe(heard.token);
  const { status } = await fetch(`http://127.0.0.1:${moved.port}/${heard.token}/sessions/ses_1`);
  expect(status).toBe(401);
  const { port } = moved;
  await moved[Symbol.asyncDispose]();
  await using same = gatewayOf("a", { port });
  expect(same.adopt("run_1", "ses_1", adopted, () => {}).token).toBe(adopted.token);
});
