import { expect, test } from "bun:test";
import { Fixture } from "../fixture.ts";

const body = { type: "start_session", prompt: "once", agent_name: "a" };

async function post(
  c: Fixture,
  key: string,
  what: object,
): Promise<{ status: number; body: unknown; replayed: string | null }> {
  const response = await fetch(`${c.coordinator.url}/runs`, {
    method: "POST",
    headers: { "idempotency-key": key },
    body: JSON.stringify(what),
  });
  return {
    status: response.status,
    body: await response.json(),
    replayed: response.headers.get("idempotent-replayed"),
  };
}

test("the same request with the same key gets the same answer and creates nothing, also after a restart", async () => {
  await using c = await Fixture.start();
  const first = await post(c, "k1", body);
  expect(first).toMatchObject({ status: 200, replayed: null });
  expect(await post(c, "k1", { agent_name: "a", prompt: "once", type: "start_session" })).toEqual({
    ...first,
    replayed: "true",
  });
  await c.restart();
  expect(await post(c, "k1", body)).toEqual({ ...first, replayed: "true" });
  expect((await c.get("/runs")).body.runs).toHaveLength(1);
  expect((await c.get("/sessions")).body.sessions).toHaveLength(1);
});

test("requests at the same time with one key create one run", async () => {
  await using c = await Fixture.start();
  const answers = await Promise.all(Array.from({ length: 10 }, () => post(c, "k", body)));
  expect(new Set(answers.map((answer) => JSON.stringify(answer.body))).size).toBe(1);
  expect((await c.get("/runs")).body.runs).toHaveLength(1);
});

test("another request under a used key is 422; another key, or no key, creates another run", async () => {
  await using c = await Fixture.start();
  await post(c, "k1", body);
  expect((await post(c, "k1", { ...body, prompt: "twice" })).status).toBe(422);
  expect((await post(c, "k2", body)).status).toBe(200);
  await c.start();
  expect((await c.get("/runs")).body.runs).toHaveLength(3);
});

test("a refused request may be retried under its key", async () => {
  await using c = await Fixture.start();
  expect((await post(c, "k", { ...body, parent_session_id: "later" })).status).toBe(404);
  await c.start({ session_id: "later" });
  expect((await post(c, "k", { ...body, parent_session_id: "later" })).status).toBe(200);
});

test("a key that is empty, too long or not ASCII is 400", async () => {
  await using c = await Fixture.start();
  for (const key of ["", "x".repeat(256), "ü"]) expect((await post(c, key, body)).status).toBe(400);
});
