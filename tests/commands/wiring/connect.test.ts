import { expect, test } from "bun:test";
import { OidcAuthorization } from "../../../src/client/credentials.ts";
import { CoordinatorFailure, type FailureKind } from "../../../src/client/failure.ts";
import { authorizationOf, clientOf, connect } from "../../../src/commands/wiring/connect.ts";
import { FoundCoordinator } from "../../../src/commands/wiring/found-coordinator.ts";
import { loadConfig } from "../../../src/config/load-config.ts";
import { tempFolder } from "../../harness/temp-folder.ts";

function configOf(env: Record<string, string>): { config: ReturnType<typeof loadConfig> } & Disposable {
  const folder = tempFolder();
  return {
    config: loadConfig({}, { HOME: folder.path, ...env }, folder.path),
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

const AUTH0 = { AUTH0_DOMAIN: "d", AUTH0_RUNNER_CLIENT_ID: "i", AUTH0_RUNNER_CLIENT_SECRET: "s", AUTH0_AUDIENCE: "a" };

test("authorizationOf: OIDC, else a token, else one that is found; with --no-token nothing", async () => {
  using none = configOf({ AGENT_COORDINATOR_NO_TOKEN: "1" });
  using found = configOf({});
  using token = configOf({ AGENT_COORDINATOR_TOKEN: "t" });
  using oidc = configOf({ AGENT_COORDINATOR_TOKEN: "t", ...AUTH0 });
  expect(await authorizationOf(none.config).header()).toBeNull();
  expect(authorizationOf(found.config)).toBeInstanceOf(FoundCoordinator);
  expect(await authorizationOf(found.config).header()).toBeNull();
  expect(await authorizationOf(token.config).header()).toBe("Bearer t");
  expect(authorizationOf(oidc.config)).toBeInstanceOf(OidcAuthorization);
});

test("clientOf: calls the configured coordinator", () => {
  using set = configOf({ AGENT_ORCHESTRATOR_API_URL: "http://c:1/" });
  expect(clientOf(set.config).baseUrl).toBe("http://c:1");
});

const context = { env: {}, program: () => "dist/agent-runner" };

async function asked(call: Promise<unknown>): Promise<unknown> {
  using set = configOf({ AGENT_ORCHESTRATOR_API_URL: "http://c:1" });
  return await connect(set.config, context)
    .ask(call)
    .catch((error: unknown) => error);
}

test.each<[FailureKind, number, string, string | undefined]>([
  ["unreachable", 4, "No Agent Coordinator at http://c:1: words", "Start one with: dist/agent-runner up"],
  ["unregistered", 1, "refuses the credentials: words", "AGENT_COORDINATOR_TOKEN"],
  ["unavailable", 4, "is in trouble: words", undefined],
  ["refused", 1, "words", undefined],
])("Connection.ask: %s is exit code %i with a hint", async (kind, exitCode, message, hint) => {
  expect(await asked(Promise.reject(new CoordinatorFailure(kind, "words")))).toMatchObject({
    name: "UserError",
    exitCode,
    message: expect.stringContaining(message),
    hint: hint === undefined ? undefined : expect.stringContaining(hint),
  });
});

test("Connection.ask: an answer passes, and so does an error that is not the coordinator's", async () => {
  expect(await asked(Promise.resolve(7))).toBe(7);
  const fault = new TypeError("ours");
  expect(await asked(Promise.reject(fault))).toBe(fault);
});
