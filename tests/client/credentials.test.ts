import { afterEach, expect, setSystemTime, test } from "bun:test";
import { OidcAuthorization } from "../../src/client/credentials.ts";
import { CoordinatorFailure } from "../../src/client/failure.ts";
import { type StubServer, stubServer } from "./stub-server.ts";

const SECRET = "very-secret-value";

function authorizationAt(server: StubServer): OidcAuthorization {
  return new OidcAuthorization({ domain: server.url, clientId: "runner", clientSecret: SECRET, audience: "api" });
}

/** Issues `token-1`, `token-2`, ... */
function provider(expiresIn = 3600): StubServer {
  let count = 0;
  return stubServer(() => Response.json({ access_token: `token-${++count}`, expires_in: expiresIn }));
}

async function failureOf(call: Promise<unknown>): Promise<CoordinatorFailure> {
  return call.then(
    () => Promise.reject(new Error("a token was issued")),
    (error: unknown) => (error instanceof CoordinatorFailure ? error : Promise.reject(error as Error)),
  );
}

afterEach(() => {
  setSystemTime();
});

test("OidcAuthorization: requests a client credentials grant", async () => {
  await using server = provider();
  expect(await authorizationAt(server).header()).toBe("Bearer token-1");
  expect(server.received[0]).toMatchObject({ method: "POST", url: "/oauth/token" });
  expect(JSON.parse(server.received[0]?.body ?? "")).toEqual({
    grant_type: "client_credentials",
    client_id: "runner",
    client_secret: SECRET,
    audience: "api",
  });
});

test("OidcAuthorization: concurrent callers share one fetch", async () => {
  await using server = provider();
  const authorization = authorizationAt(server);
  const headers = await Promise.all(Array.from({ length: 20 }, () => authorization.header()));
  expect(new Set(headers)).toEqual(new Set(["Bearer token-1"]));
  expect(server.received).toHaveLength(1);
});

test("OidcAuthorization: keeps a token until 60 s before it expires", async () => {
  await using server = provider(3600);
  const authorization = authorizationAt(server);
  const startMs = Date.now();
  await authorization.header();
  setSystemTime(startMs + 3_539_000);
  expect(await authorization.header()).toBe("Bearer token-1");
  setSystemTime(startMs + 3_541_000);
  expect(await authorization.header()).toBe("Bearer token-2");
});

test("OidcAuthorization: keeps a token of less than two minutes for half its lifetime", async () => {
  await using server = provider(40);
  const authorization = authorizationAt(server);
  const startMs = Date.now();
  await authorization.header();
  setSystemTime(startMs + 19_000);
  expect(await authorization.header()).toBe("Bearer token-1");
  setSystemTime(startMs + 21_000);
  expect(await authorization.header()).toBe("Bearer token-2");
});

test("OidcAuthorization: never reuses a refused token", async () => {
  await using server = provider();
  const authorization = authorizationAt(server);
  await authorization.header();
  authorization.refused();
  expect(await authorization.header()).toBe("Bearer token-2");
});

test("OidcAuthorization: fetches again after a failed fetch", async () => {
  let isUp = false;
  await using server = stubServer(() =>
    isUp ? Response.json({ access_token: "t" }) : new Response("", { status: 503 }),
  );
  const authorization = authorizationAt(server);
  expect(await failureOf(authorization.header())).toMatchObject({ kind: "unreachable", isRetryable: true });
  isUp = true;
  expect(await authorization.header()).toBe("Bearer t");
});

test.each([400, 401, 403])("OidcAuthorization: a %i means that the credentials are wrong", async (status) => {
  await using server = stubServer(() => Response.json({ error: "access_denied" }, { status }));
  expect(await failureOf(authorizationAt(server).header())).toMatchObject({ kind: "unregistered", status });
});

test.each([408, 429, 500])("OidcAuthorization: a %i says nothing about the credentials", async (status) => {
  await using server = stubServer(() => new Response("", { status }));
  expect(await failureOf(authorizationAt(server).header())).toMatchObject({ kind: "unreachable" });
});

test.each([
  ["refuses and quotes the secret", () => Response.json({ error: `bad ${SECRET}`, got: SECRET }, { status: 401 })],
  ["fails and quotes the secret", () => new Response(SECRET, { status: 500 })],
  ["answers with a text", () => new Response(`access_token=${SECRET}`)],
  ["answers with another shape", () => Response.json({ access_token: [SECRET], token: SECRET })],
])("OidcAuthorization: no secret and no token in the failure when the provider %s", async (_, answer) => {
  await using server = stubServer(answer);
  const failure = await failureOf(authorizationAt(server).header());
  expect(Bun.inspect(failure)).not.toContain(SECRET);
  expect(failure.message).toContain("127.0.0.1");
});
