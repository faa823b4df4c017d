import { expect, test } from "bun:test";
import { CoordinatorClient } from "../../src/client/coordinator-client.ts";
import { noAuthorization } from "../../src/client/credentials.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { silentLog } from "../../src/log.ts";

const ACTIVITY = { assistantMessageSent: false, sessionStopSent: false, resultSent: false, lastAssistantText: "" };

test("Gateway.open: earlier requests wait, so that no token of an adopted run is refused", async () => {
  await using gateway = new Gateway({
    coordinator: new CoordinatorClient("http://127.0.0.1:1", noAuthorization),
    scope: "tree",
    limits: { maxDepth: 0, maxChildren: 0, maxTreeRuns: 0 },
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
