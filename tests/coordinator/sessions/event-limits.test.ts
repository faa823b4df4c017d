import { expect, test } from "bun:test";
import { join } from "node:path";
import { boundedJson } from "../../../src/coordinator/sessions/cut-event.ts";
import { EventBudget } from "../../../src/coordinator/sessions/event-budget.ts";
import { SqliteStore } from "../../../src/coordinator/store/sqlite-store.ts";
import { silentLog } from "../../../src/log.ts";
import { tempFolder } from "../../harness/temp-folder.ts";
import { type Answer, Fixture } from "../fixture.ts";

const MIB = 1024 * 1024;

interface Running {
  readonly run_id: string;
  readonly session_id: string;
  readonly runner: string;
}

async function running(c: Fixture): Promise<Running> {
  const runner = await c.register();
  const run = await c.start();
  await c.claim(runner);
  await c.report(run.run_id, "started", runner);
  return { ...run, runner };
}

function tool(c: Fixture, { session_id }: Running, characters: number, fields: object = {}): Promise<Answer> {
  const event = { event_type: "post_tool", session_id, tool_name: "read", tool_output: "x".repeat(characters) };
  return c.post(`/sessions/${session_id}/events`, { ...event, ...fields });
}

// oxlint-disable-next-line typescript/no-explicit-any
async function eventsOf(c: Fixture, { session_id }: Running): Promise<any[]> {
  return (await c.get(`/sessions/${session_id}/events`)).body.events;
}

test("an event above 1 MiB is cut and says how long it was; the rest of it stays", async () => {
  await using c = await Fixture.start();
  const run = await running(c);
  await tool(c, run, 3 * MIB, { tool_input: { path: "README.md" } });
  const [event] = await eventsOf(c, run);
  expect(event).toMatchObject({ tool_name: "read", tool_input: { path: "README.md" } });
  expect(event.cut_from_bytes).toBeGreaterThan(3 * MIB);
  expect(event.tool_output).toContain("more characters]");
  expect(JSON.stringify(event).length).toBeLessThan(MIB);
});

test("boundedJson: fits any event, and leaves what fits alone", () => {
  const base = { session_id: "s", timestamp: "t" };
  const fits = { ...base, event_type: "post_tool", tool_output: "x".repeat(1000 * 1000) };
  expect(boundedJson(fits)).toBe(JSON.stringify(fits));
  const answer = {
    ...base,
    event_type: "message",
    role: "assistant",
    content: [{ type: "text", text: "x".repeat(7 * MIB) }],
  };
  expect(boundedJson(answer)).toBe(JSON.stringify(answer));
  for (const tool_output of [
    "\u{1F600}".repeat(2 * MIB),
    "\u0000".repeat(MIB),
    Array.from({ length: 300_000 }, () => "abcd"),
    Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`a long key of an object ${i}`, i])),
    ["x".repeat(MIB), { deep: "y".repeat(5 * MIB) }],
  ]) {
    const text = boundedJson({ ...base, event_type: "post_tool", tool_output });
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(MIB);
    expect(JSON.parse(text)).toMatchObject({ ...base, event_type: "post_tool", cut_from_bytes: expect.any(Number) });
  }
});

test("the events of a run are bounded in size: told once, counted, and its result gets through", async () => {
  await using c = await Fixture.start();
  await c.restart({ eventsLimitBytes: 2 * MIB });
  const run = await running(c);
  const answers: Answer[] = [];
  for (let i = 0; i < 10; i++) answers.push(await tool(c, run, MIB / 2));
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 200));
  expect(answers.filter(({ body }) => body.dropped)).toHaveLength(7);
  const seen = await eventsOf(c, run);
  expect(seen.map(({ event_type }) => event_type)).toEqual(["post_tool", "post_tool", "post_tool", "events_dropped"]);
  expect(seen[3].reason).toContain("coordinator.events_limit");
  expect((await c.get(`/runs/${run.run_id}`)).body.events_dropped).toBe(4);
  await c.restart({ eventsLimitBytes: 2 * MIB });
  expect((await tool(c, run, MIB / 2)).body.dropped).toBe(true);
  expect((await c.say(run.session_id, "the result")).body).toEqual({ ok: true });
  await c.report(run.run_id, "completed", run.runner);
  expect((await c.get(`/runs/${run.run_id}`)).body).toMatchObject({ status: "completed", events_dropped: 8 });
  expect((await c.get(`/runs/${run.run_id}/result`)).body.result).toBe("the result");
  // Answers have no budget without an end either.
  const next = await c.resume(run.session_id);
  await c.claim(run.runner);
  for (let i = 0; i < 8; i++) await c.say(run.session_id, "y".repeat(MIB / 2));
  expect((await c.get(`/runs/${next.run_id}`)).body.events_dropped).toBeGreaterThan(0);
});

test("what a dropped event means happens all the same: usage, and the end of the session", async () => {
  await using c = await Fixture.start();
  await c.restart({ eventsLimitBytes: 1 });
  const run = await running(c);
  const send = (fields: object): Promise<Answer> =>
    c.post(`/sessions/${run.session_id}/events`, { session_id: run.session_id, ...fields });
  expect((await send({ event_type: "usage", total_cost_usd: 2 })).body.dropped).toBe(true);
  expect((await send({ event_type: "session_stop", exit_code: 0 })).body.dropped).toBe(true);
  expect((await c.get(`/runs/${run.run_id}`)).body).toMatchObject({ total_cost_usd: 2, events_dropped: 2 });
  expect(await c.sessionStatus(run.session_id)).toBe("finished");
});

test("the events of a run are bounded in rate, but for those that say how it ends", async () => {
  using folder = tempFolder();
  await using store = new SqliteStore(join(folder.path, "coordinator.db"), silentLog, "process");
  for (const id of ["busy", "quiet"]) {
    store.db.run(`INSERT INTO sessions (session_id, status, created_at) VALUES ('${id}', 'running', '')`);
    store.db.run(
      `INSERT INTO runs (run_id, type, session_id, prompt, execution_mode, status, created_at)
       VALUES ('run_${id}', 'start_session', '${id}', 'p', 'sync', 'running', '')`,
    );
  }
  let now = 0;
  const budget = new EventBudget(store, 64 * MIB, () => now);
  const send = async (session_id: string, event_type = "post_tool"): Promise<string> =>
    (await store.write(() => budget.admit({ session_id, event_type }, 10))).kind;
  const flood = await Promise.all(Array.from({ length: 3_000 }, () => send("busy")));
  expect(flood.filter((kind) => kind === "stored")).toHaveLength(2_000);
  expect(flood[2_000]).toBe("first");
  expect(flood.at(-1)).toBe("dropped");
  expect([await send("busy", "message"), await send("busy", "session_stop"), await send("quiet")]).toEqual([
    "stored",
    "stored",
    "stored",
  ]);
  now += 1_000;
  const later = await Promise.all(Array.from({ length: 300 }, () => send("busy")));
  expect(later.filter((kind) => kind === "stored")).toHaveLength(200);
});
