import { expect, test } from "bun:test";
import { CoordinatorClient } from "../../src/client/coordinator-client.ts";
import { noAuthorization } from "../harness/authorization.ts";
import { forward } from "../../src/gateway/forward.ts";
import { stubServer } from "../client/stub-server.ts";

test("forward: a redirect is a 502 without a Location, so that no executor's client follows it", async () => {
  await using other = stubServer(() => Response.json({}));
  await using old = stubServer(({ url }) => Response.redirect(`${other.url}${url}`, 307));
  const request = { method: "POST", path: "/runs", headers: new Headers(), body: '{"prompt":"p"}', signal: null };
  const answer = await forward(new CoordinatorClient(old.url, noAuthorization), request);
  expect(answer.status).toBe(502);
  expect(answer.headers.get("location")).toBeNull();
  expect(await answer.text()).toContain(`has moved to ${other.url} (307)`);
  expect(other.received).toEqual([]);
});
