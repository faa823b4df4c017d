import { describe, expect, test } from "bun:test";
import { Fixture } from "../fixture.ts";

/** Reads all pages of a list; `nameOf` names each row. */
async function read(
  c: Fixture,
  path: string,
  key: string,
  nameOf: (row: Record<string, string>) => string,
): Promise<string[][]> {
  const pages: string[][] = [];
  for (let cursor = ""; ;) {
    const { status, body } = await c.get(`${path}${cursor}`);
    expect(status).toBe(200);
    pages.push(body[key].map(nameOf));
    if (body.next_cursor === null) return pages;
    cursor = `&cursor=${body.next_cursor}`;
  }
}

describe("pages", () => {
  test("of runs hold each run once, newest first, while new runs arrive", async () => {
    await using c = await Fixture.start();
    for (let i = 0; i < 5; i++) await c.start({ session_id: `s${i}` });
    const { runs, next_cursor } = (await c.get("/runs?limit=2")).body;
    expect(runs.map((run: { session_id: string }) => run.session_id)).toEqual(["s4", "s3"]);
    await c.start({ session_id: "s5" });
    expect((await c.get(`/runs?limit=9&cursor=${next_cursor}`)).body).toMatchObject({
      runs: [{ session_id: "s2" }, { session_id: "s1" }, { session_id: "s0" }],
      next_cursor: null,
    });
    expect(await read(c, "/runs?limit=2&order=asc", "runs", (run) => run["session_id"] ?? "")).toEqual([
      ["s0", "s1"],
      ["s2", "s3"],
      ["s4", "s5"],
      [],
    ]);
  });

  test("whole lists have the first generation's order: sessions newest first, runs oldest first", async () => {
    await using c = await Fixture.start();
    for (const id of ["s0", "s1", "s2"]) await c.start({ session_id: id });
    const ids = (rows: { session_id: string }[]): string[] => rows.map(({ session_id }) => session_id);
    expect(ids((await c.get("/sessions")).body.sessions)).toEqual(["s2", "s1", "s0"]);
    expect(ids((await c.get("/runs")).body.runs)).toEqual(["s0", "s1", "s2"]);
  });

  test("of runs with several statuses are merged in order", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    for (let i = 0; i < 6; i++) await c.start({ session_id: `s${i}` });
    await c.execute(runner, "completed");
    await c.execute(runner, "failed");
    await c.execute(runner, "completed");
    await c.claim(runner);
    const pages = await read(
      c,
      "/runs?status=completed,pending,failed&limit=2",
      "runs",
      (run) => run["session_id"] ?? "",
    );
    expect(pages).toEqual([["s5", "s4"], ["s2", "s1"], ["s0"]]);
    expect(
      (await read(c, "/runs?status=failed,completed&limit=2", "runs", (run) => run["session_id"] ?? "")).flat(),
    ).toEqual(["s2", "s1", "s0"]);
  });

  test("of sessions filter by status, agent, parent and top", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    await c.start({ session_id: "top", agent_name: "a" });
    await c.execute(runner, "completed");
    for (const session_id of ["c1", "c2", "c3"]) await c.start({ session_id, parent_session_id: "top" });
    const list = async (query: string): Promise<string[]> =>
      (await read(c, `/sessions?limit=2${query}`, "sessions", (row) => row["session_id"] ?? "")).flat();
    expect(await list("")).toEqual(["c3", "c2", "c1", "top"]);
    expect(await list("&status=finished")).toEqual(["top"]);
    expect(await list("&status=pending,finished")).toEqual(["c3", "c2", "c1", "top"]);
    expect(await list("&agent=a")).toEqual(["top"]);
    expect(await list("&parent=top")).toEqual(["c3", "c2", "c1"]);
    expect(await list("&parent=top&status=finished")).toEqual([]);
    expect(await list("&top=true")).toEqual(["top"]);
    expect((await c.get("/sessions?status=pending")).body.sessions).toHaveLength(3);
  });

  test("of events go forward from the oldest or back from the newest", async () => {
    await using c = await Fixture.start();
    for (const session_id of ["s", "t"]) await c.start({ session_id });
    for (let i = 0; i < 5; i++) {
      await c.post("/sessions/s/events", { event_type: `e${i}`, session_id: "s" });
      await c.say("t", "other");
    }
    const types = (event: Record<string, string>): string => event["event_type"] ?? "";
    expect(await read(c, "/sessions/s/events?limit=2", "events", types)).toEqual([["e0", "e1"], ["e2", "e3"], ["e4"]]);
    expect(await read(c, "/sessions/s/events?limit=3&order=desc", "events", types)).toEqual([
      ["e4", "e3", "e2"],
      ["e1", "e0"],
    ]);
  });

  test("of runners and agents are sorted by name", async () => {
    await using c = await Fixture.start();
    for (const hostname of ["a", "b", "c"]) await c.register({ hostname });
    const ids = (await read(c, "/runners?limit=2", "runners", (row) => row["runner_id"] ?? "")).flat();
    expect(ids).toHaveLength(3);
    expect(ids).toEqual(ids.toSorted());
    for (const name of ["x", "y", "z"]) await c.post("/agents", { name, description: "" });
    const response = await fetch(`${c.coordinator.url}/agents?limit=2`);
    expect(await response.json()).toMatchObject([{ name: "x" }, { name: "y" }]);
    const rest = await fetch(`${c.coordinator.url}/agents?limit=2&cursor=${response.headers.get("x-next-cursor")}`);
    expect([await rest.json(), rest.headers.get("x-next-cursor")]).toMatchObject([[{ name: "z" }], null]);
  });
});
