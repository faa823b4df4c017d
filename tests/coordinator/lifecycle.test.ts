import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startCoordinator } from "../../src/coordinator/coordinator.ts";
import { type Log, silentLog } from "../../src/log.ts";
import { tempFolder } from "../harness/temp-folder.ts";
import { AT_ONCE_MS, until } from "../harness/until.ts";
import { Fixture } from "./fixture.ts";

describe("restart", () => {
  test("keeps runners, runs, sessions, events and agents", async () => {
    await using c = await Fixture.start();
    const runner = await c.register({ tags: ["a"] });
    await c.post("/agents", { name: "a", description: "d" });
    const pending = await c.start();
    const active = await c.start();
    const claimed = await c.claim(runner);
    await c.say(active.session_id, "hello");
    const state = async (): Promise<unknown[]> =>
      Promise.all(
        ["/runs", "/sessions", "/agents", `/events/${active.session_id}`].map(async (path) => (await c.get(path)).body),
      );
    const before = await state();
    await c.restart();
    expect(await state()).toEqual(before);
    expect(claimed.run_id).toBe(pending.run_id);
    expect((await c.post("/runner/heartbeat", { runner_id: runner })).status).toBe(200);
    expect((await c.report(claimed.run_id, "started", runner)).status).toBe(200);
    expect((await c.claim(runner)).run_id).toBe(active.run_id);
  });

  test("after a crash of the process finds every answered write", async () => {
    using folder = tempFolder();
    const databasePath = join(folder.path, "c.db");
    const script = join(import.meta.dir, "serve-until-killed.ts");
    const child = Bun.spawn([process.execPath, script, databasePath], { stdout: "pipe", stderr: "inherit" });
    try {
      const first = await child.stdout.getReader().read();
      const url = new TextDecoder().decode(first.value).trim();
      const body = JSON.stringify({ type: "start_session", prompt: "x", session_id: "answered" });
      expect((await fetch(`${url}/runs`, { method: "POST", body })).status).toBe(200);
    } finally {
      child.kill("SIGKILL");
      await child.exited;
    }
    await using again = await startCoordinator({ host: "127.0.0.1", port: 0, databasePath, log: silentLog });
    const { runs } = (await (await fetch(`${again.url}/runs`)).json()) as { runs: unknown[] };
    expect(runs).toMatchObject([{ session_id: "answered", status: "pending" }]);
  });

  test("delivers again a stop that was delivered before", async () => {
    await using c = await Fixture.start();
    const runner = await c.register();
    const { run_id } = await c.start();
    await c.claim(runner);
    await c.post(`/runs/${run_id}/stop`);
    await c.poll(runner);
    await c.restart();
    expect((await c.poll(runner)).body).toEqual({ stop_runs: [run_id] });
  });

  test("does not count its downtime as a runner's silence or against a lease", async () => {
    await using c = await Fixture.start({
      staleAfterMs: 1_500,
      removeAfterMs: 1_600,
      claimLeaseMs: 1_500,
      noMatchTimeoutMs: 20,
    });
    const runner = await c.register();
    const { run_id } = await c.start();
    await c.claim(runner);
    await c.coordinator.close();
    const before = Date.now();
    await until("the time has passed", () => Date.now() - before > 1_700);
    await c.restart();
    const unmatched = await c.start({ additional_demands: { tags: ["gpu"] } });
    await until("the sweep has run", async () => (await c.runStatus(unmatched.run_id)) === "failed");
    expect((await c.get("/runners")).body.runners).toMatchObject([{ status: "online" }]);
    expect((await c.report(run_id, "started", runner)).status).toBe(200);
  });
});

describe("close", () => {
  test("answers open polls with 204, ends streams, and is idempotent", async () => {
    const c = await Fixture.start();
    const runner = await c.register();
    const polled = c.poll(runner);
    const stream = await fetch(`${c.coordinator.url}/sse/sessions`);
    await c.get("/health");
    const closing = c.coordinator.close();
    expect(await polled).toEqual({ status: 204, body: null });
    expect(await stream.text()).toContain("event: init");
    await closing;
    await c[Symbol.asyncDispose]();
    await expect(fetch(`${c.coordinator.url}/health`)).rejects.toThrow();
  });

  test("takes a bounded time while a connected client reads nothing", async () => {
    await using c = await Fixture.start();
    using socket = await Bun.connect({ hostname: "127.0.0.1", port: c.coordinator.port, socket: { data() {} } });
    socket.write("POST /runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{");
    await c.get("/health");
    const began = performance.now();
    await c.coordinator.close();
    expect(performance.now() - began).toBeLessThan(AT_ONCE_MS);
  });
});

describe("port in use", () => {
  test("by a coordinator: the error says so and how to join it", async () => {
    await using c = await Fixture.start();
    using folder = tempFolder();
    const { port, url } = c.coordinator;
    const second = startCoordinator({
      host: "127.0.0.1",
      port,
      databasePath: join(folder.path, "c.db"),
      log: silentLog,
    });
    await expect(second).rejects.toMatchObject({
      name: "UserError",
      message: expect.stringContaining("already running"),
      hint: expect.stringContaining(`agent-runner -c ${url}`),
    });
  });

  test("by another program: the error names the port and --port", async () => {
    using folder = tempFolder();
    await using other = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("hello") });
    const port = other.port ?? 0;
    const second = startCoordinator({
      host: "127.0.0.1",
      port,
      databasePath: join(folder.path, "c.db"),
      log: silentLog,
    });
    await expect(second).rejects.toMatchObject({
      name: "UserError",
      message: expect.stringContaining(String(port)),
      hint: expect.stringContaining("--port"),
    });
  });
});

describe("database", () => {
  const startOn = (databasePath: string, log: Log = silentLog): ReturnType<typeof startCoordinator> =>
    startCoordinator({ host: "127.0.0.1", port: 0, databasePath, log });

  test("is readable only by its owner", async () => {
    await using c = await Fixture.start();
    await c.start();
    for (const suffix of ["", "-wal"]) expect(statSync(c.databasePath + suffix).mode & 0o777).toBe(0o600);
    using folder = tempFolder();
    const existing = join(folder.path, "c.db");
    writeFileSync(existing, "", { mode: 0o644 });
    await using _ = await startOn(existing);
    expect(statSync(existing).mode & 0o777).toBe(0o600);
  });

  test("of another coordinator or program, or a file that is no database, is refused with a UserError", async () => {
    await using c = await Fixture.start();
    await expect(startOn(c.databasePath)).rejects.toMatchObject({
      name: "UserError",
      message: expect.stringContaining("in use"),
    });
    using folder = tempFolder();
    const foreign = join(folder.path, "foreign.db");
    const db = new Database(foreign, { create: true });
    db.run("CREATE TABLE x (y)");
    db.close();
    await expect(startOn(foreign)).rejects.toMatchObject({
      name: "UserError",
      message: expect.stringContaining("not a coordinator's"),
    });
    const text = join(folder.path, "text.db");
    writeFileSync(text, "no database ".repeat(100));
    await expect(startOn(text)).rejects.toMatchObject({ name: "UserError" });
    await expect(startOn(join(folder.path, "missing", "c.db"))).rejects.toMatchObject({ name: "UserError" });
  });

  test("of a newer version is refused", async () => {
    using folder = tempFolder();
    const path = join(folder.path, "c.db");
    await (await startOn(path)).close();
    const db = new Database(path);
    db.run("PRAGMA user_version = 99");
    db.close();
    await expect(startOn(path)).rejects.toMatchObject({ name: "UserError", message: expect.stringContaining("newer") });
  });
});
