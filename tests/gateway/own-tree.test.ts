import { expect, test } from "bun:test";
import { CoordinatorClient } from "../../src/client/coordinator-client.ts";
import { noAuthorization } from "../harness/authorization.ts";
import { SessionTree } from "../../src/gateway/own-tree.ts";
import { type StubServer, stubServer } from "../client/stub-server.ts";

function serverWith(parents: Record<string, string | null>): StubServer {
  const sessionOf = (id: string) => ({ session_id: id, status: "running", parent_session_id: parents[id] ?? null });
  return stubServer(({ url }) => {
    const id = url.split("/")[2];
    if (id === undefined) return Response.json({ sessions: Object.keys(parents).map(sessionOf) });
    return id in parents ? Response.json({ session: sessionOf(id) }) : Response.json({ detail: "no" }, { status: 404 });
  });
}

const treeAt = (server: StubServer): SessionTree =>
  new SessionTree(new CoordinatorClient(server.url, noAuthorization), "root");

test("SessionTree.has: the root without a request, descendants by their parents with one request each", async () => {
  await using server = serverWith({ root: null, a: "root", b: "a", c: "b" });
  const tree = treeAt(server);
  expect(await tree.has("root")).toBe(true);
  expect(server.received).toHaveLength(0);
  expect(await tree.has("c")).toBe(true);
  const requests = server.received.length;
  expect(await tree.has("b")).toBe(true);
  expect(server.received).toHaveLength(requests);
});

test("SessionTree.has: no siblings, no ancestors, no unknown sessions", async () => {
  await using server = serverWith({ top: null, root: "top", other: "top" });
  const tree = treeAt(server);
  expect(await Promise.all(["top", "other", "nobody"].map((id) => tree.has(id)))).toEqual([false, false, false]);
});

test("SessionTree.has: ends at a cycle of parents", async () => {
  await using server = serverWith({ root: null, a: "b", b: "a" });
  expect(await treeAt(server).has("a")).toBe(false);
});

test("SessionTree.has: rejects if the coordinator is unreachable", async () => {
  const server = serverWith({});
  await server[Symbol.asyncDispose]();
  expect(
    await treeAt(server)
      .has("a")
      .catch((error: unknown) => error),
  ).toMatchObject({ kind: "unreachable" });
});

test("SessionTree.all: the root, added sessions, and all their descendants", async () => {
  await using server = serverWith({ root: "top", top: null, a: "root", b: "a", added: null, d: "added", other: "top" });
  const tree = treeAt(server);
  tree.add("added");
  expect([...(await tree.all())].toSorted()).toEqual(["a", "added", "b", "d", "root"]);
});

test("SessionTree.rootExists: requests the root until it exists", async () => {
  const parents: Record<string, string | null> = {};
  await using server = serverWith(parents);
  const tree = treeAt(server);
  expect(await tree.rootExists()).toBe(false);
  parents["root"] = null;
  expect(await tree.rootExists()).toBe(true);
  const requests = server.received.length;
  expect(await tree.rootExists()).toBe(true);
  expect(server.received).toHaveLength(requests);
});
