import { expect, test } from "bun:test";
import { CoordinatorClient } from "../../../src/client/coordinator-client.ts";
import { noAuthorization, OidcAuthorization } from "../../../src/client/credentials.ts";
import { CoordinatorFailure, type FailureKind } from "../../../src/client/failure.ts";
import { asking, authorizationOf, connect } from "../../../src/commands/wiring/connect.ts";
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

test("authorizationOf: OIDC before a token before nothing", async () => {
  using none = configOf({});
  using token = configOf({ AGENT_COORDINATOR_TOKEN: "t" });
  using oidc = configOf({ AGENT_COORDINATOR_TOKEN: "t", ...AUTH0 });
  expect(authorizationOf(none.config)).toBe(noAuthorization);
  expect(await authorizationOf(token.config).header()).toBe("Bearer t");
  expect(authorizationOf(oidc.config)).toBeInstanceOf(OidcAuthorization);
});

test("connect: to the coordinator that was set", () => {
  using set = configOf({ AGENT_ORCHESTRATOR_API_URL: "http://c:1/" });
  expect(connect(set.config).baseUrl).toBe("http://c:1");
});

const client = new CoordinatorClient("http://c:1", noAuthorization);
const told = (failure: unknown): Promise<unknown> =>
  asking(client, Promise.reject(failure as Error)).catch((error: unknown) => error);

test.each<[FailureKind, number, string, string | undefined]>([
  ["unreachable", 4, "No Agent Coordinator at http://c:1: words", "--coordinator-url"],
  ["unregistered", 1, "refuses the credentials: words", "AGENT_COORDINATOR_TOKEN"],
  ["unavailable", 4, "is in trouble: words", undefined],
  ["refused", 1, "words", undefined],
])("asking: %s is exit code %i with what to do", async (kind, exitCode, message, hint) => {
  expect(await told(new CoordinatorFailure(kind, "words"))).toMatchObject({
    name: "UserError",
    exitCode,
    message: expect.stringContaining(message),
    hint: hint === undefined ? undefined : expect.stringContaining(hint),
  });
});

test("asking: an answer passes, and so does a fault that is not the coordinator's", async () => {
  expect(await asking(client, Promise.resolve(7))).toBe(7);
  const fault = new TypeError("ours");
  expect(await told(fault)).toBe(fault);
});
