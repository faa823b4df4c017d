import { expect, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { doctorCommand } from "../../src/commands/doctor.ts";
import { SqliteStore } from "../../src/coordinator/store/sqlite-store.ts";
import { silentLog } from "../../src/log.ts";
import { type StubServer, stubServer } from "../client/stub-server.ts";
import { tempFolder } from "../harness/temp-folder.ts";
import { runOf } from "./command-run.ts";

interface Found {
  readonly name: string;
  readonly ok: boolean;
  readonly found: string;
  readonly hint?: string;
}

interface Machine extends Disposable {
  readonly path: string;
  readonly check: (
    server: StubServer,
    args?: Record<string, string>,
  ) => Promise<{ code: number; of: (name: string) => Found | undefined }>;
}

/** A user's home with a working executor `own`. */
function machine(): Machine {
  const folder = tempFolder();
  const executor = join(folder.path, "executors", "own", "ao-own-exec");
  mkdirSync(join(folder.path, "executors", "own"), { recursive: true });
  writeFileSync(executor, "#!/bin/sh\n");
  chmodSync(executor, 0o755);
  return {
    path: folder.path,
    async check(server, args = {}) {
      const env = {
        HOME: folder.path,
        PATH: process.env["PATH"],
        AGENT_ORCHESTRATOR_API_URL: server.url,
        AGENT_EXECUTORS_DIR: join(folder.path, "executors"),
      };
      const { code, stdout } = await runOf(
        doctorCommand,
        { executor: "own", "project-dir": folder.path, ...args, json: true },
        env,
      );
      const checks = JSON.parse(stdout) as Found[];
      return { code, of: (name) => checks.find((check) => check.name === name) };
    },
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

function coordinator(clockAheadMs = 0): StubServer {
  const date = (): string => new Date(Date.now() + clockAheadMs).toUTCString();
  return stubServer(({ url }) =>
    Response.json(url === "/health" ? { status: "healthy" } : { runners: [] }, { headers: { date: date() } }),
  );
}

test("doctor: no faults", async () => {
  using here = machine();
  await using server = coordinator();
  const { code, of } = await here.check(server);
  expect(["coordinator", "clock", "executor", "project directory", "state folder"].map((name) => of(name)?.ok)).toEqual(
    Array(5).fill(true),
  );
  expect(code).toBe(0);
});

test("doctor: a line per check, faults with a hint", async () => {
  using here = machine();
  await using server = coordinator();
  const env = {
    HOME: here.path,
    AGENT_ORCHESTRATOR_API_URL: server.url,
    AGENT_EXECUTORS_DIR: join(here.path, "executors"),
  };
  const { code, stdout } = await runOf(doctorCommand, { executor: "own", "project-dir": join(here.path, "gone") }, env);
  expect(code).toBe(1);
  expect(stdout).toContain(`ok    coordinator: ${server.url} is healthy\n`);
  expect(stdout).toMatch(/FAULT project directory: .*gone.*\n {6}Name an existing folder/);
});

test("doctor: an unreachable coordinator is a fault with a hint; the other checks still run", async () => {
  using here = machine();
  const server = coordinator();
  await server[Symbol.asyncDispose]();
  const { code, of } = await here.check(server);
  expect(of("coordinator")).toMatchObject({
    ok: false,
    found: expect.stringContaining("connection refused"),
    hint: expect.stringContaining("agent-runner up"),
  });
  expect([code, of("clock"), of("executor")?.ok]).toEqual([1, undefined, true]);
});

test("doctor: refused credentials", async () => {
  using here = machine();
  await using server = stubServer(({ url }) =>
    url === "/health" ? Response.json({ status: "healthy" }) : new Response("", { status: 401 }),
  );
  expect((await here.check(server)).of("coordinator")).toMatchObject({
    ok: false,
    hint: expect.stringContaining("AGENT_COORDINATOR_TOKEN"),
  });
});

test("doctor: a clock that differs, and in which direction", async () => {
  using here = machine();
  await using ahead = coordinator(3_600_000);
  await using behind = coordinator(-3_600_000);
  expect((await here.check(ahead)).of("clock")).toMatchObject({
    ok: false,
    found: expect.stringMatching(/^3(599|600) s behind the coordinator's$/),
  });
  expect((await here.check(behind)).of("clock")).toMatchObject({
    ok: false,
    found: expect.stringMatching(/^3(599|600) s ahead of the coordinator's$/),
  });
});

test("doctor: an unknown executor, with a list of those that are ready", async () => {
  using here = machine();
  await using server = coordinator();
  const executor = (await here.check(server, { executor: "nobody" })).of("executor");
  expect(executor).toMatchObject({ ok: false, hint: expect.stringMatching(/Ready: .*\bown\b/) });
});

test("doctor: a state folder that other users can read", async () => {
  using here = machine();
  await using server = coordinator();
  const state = join(here.path, "state");
  mkdirSync(state);
  chmodSync(state, 0o755);
  expect((await here.check(server, { "state-dir": state })).of("state folder")).toMatchObject({
    ok: false,
    hint: `chmod 700 ${state}`,
  });
});

test("doctor: a state folder that cannot be made", async () => {
  using here = machine();
  await using server = coordinator();
  writeFileSync(join(here.path, "file"), "");
  expect(
    (await here.check(server, { "state-dir": join(here.path, "file", "state") })).of("state folder"),
  ).toMatchObject({ ok: false, hint: expect.stringContaining("--state-dir") });
});

test("doctor: the size of the state folder with all its content", async () => {
  using here = machine();
  await using server = coordinator();
  const state = join(here.path, "state");
  const run = join(state, "runs", "run_1");
  mkdirSync(run, { recursive: true, mode: 0o700 });
  chmodSync(state, 0o700);
  writeFileSync(join(run, "stdout"), Buffer.alloc(3 * 1024 * 1024, "x"));
  expect((await here.check(server, { "state-dir": state })).of("state folder")).toMatchObject({
    ok: true,
    found: expect.stringMatching(/state \(3\.\d MiB\)$/),
  });
});

function stateWithDatabase(home: string): { state: string; store: SqliteStore; path: string } {
  const state = join(home, "state");
  mkdirSync(state, { mode: 0o700 });
  const path = join(state, "coordinator.sqlite");
  return { state, path, store: new SqliteStore(path, silentLog) };
}

test("doctor: no database, no check of one; a sound one and a damaged one", async () => {
  using here = machine();
  await using server = coordinator();
  const { state, path, store } = stateWithDatabase(here.path);
  await store[Symbol.asyncDispose]();
  expect((await here.check(server)).of("database")).toBeUndefined();
  expect((await here.check(server, { "state-dir": state })).of("database")).toMatchObject({ ok: true });
  writeFileSync(path, "this is no database, but long enough to have the header of one ".repeat(20));
  const { code, of } = await here.check(server, { "state-dir": state });
  expect(of("database")).toMatchObject({
    ok: false,
    found: expect.stringContaining("is damaged"),
    hint: expect.stringContaining("Restore a backup"),
  });
  expect(code).toBe(1);
});

test("doctor: a database that a coordinator holds is as healthy as its coordinator says", async () => {
  using here = machine();
  const { state, store } = stateWithDatabase(here.path);
  await using healthy = coordinator();
  await using sick = stubServer(() => Response.json({ detail: "it is damaged; restore" }, { status: 503 }));
  expect((await here.check(healthy, { "state-dir": state })).of("database")).toMatchObject({
    ok: true,
    found: expect.stringMatching(/is in use by a coordinator: .* is healthy/),
  });
  expect((await here.check(sick, { "state-dir": state })).of("database")).toMatchObject({
    ok: false,
    found: expect.stringContaining("it is damaged; restore"),
  });
  await store[Symbol.asyncDispose]();
});
