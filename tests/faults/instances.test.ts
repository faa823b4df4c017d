import { expect, setDefaultTimeout, test } from "bun:test";
import type { StartedBinary } from "../harness/binary.ts";
import { processesWith } from "../harness/processes.ts";
import { AT_ONCE_MS, until } from "../harness/until.ts";
import { START_MS, TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const WARNING = /WARN.*Another runner of this host name.* waiting up to 45 s for it to leave/;

/** Starts a runner of one identity. Each `home` is a machine of its own: other locks, another journal. */
function runnerOf(world: World, url: string, home: string): StartedBinary {
  const at = world.path(home);
  const env = {
    HOME: at,
    XDG_STATE_HOME: `${at}/state`,
    XDG_RUNTIME_DIR: at,
    HEARTBEAT_INTERVAL: "1",
  };
  return world.runner(url, "waits-for-release", ["-p", world.projectDir, "--state-dir", `${at}/agent-runner`], env);
}

const linesWith = (runner: StartedBinary, pattern: RegExp): number =>
  runner
    .stdout()
    .split("\n")
    .filter((line) => pattern.test(line)).length;

test("a second live instance of an identity waits 45 s with one warning, then ends with an error", async () => {
  await using w = new World();
  const { api } = await w.coordinator();
  const first = runnerOf(w, api.url, "home-a");
  await first.line(/waiting for runs/);
  const startMs = performance.now();
  const second = runnerOf(w, api.url, "home-b");
  await second.line(WARNING);
  expect(await second.exited).toBe(1);
  expect(performance.now() - startMs).toBeGreaterThan(44_000);
  expect(linesWith(second, /WARN/)).toBe(1);
  expect(second.stderr()).toContain("A runner with this host name, project directory and executor is online at");
  // The first one is not disturbed.
  const { run_id } = await api.submit("x");
  await w.file(`${run_id}.ready`);
  await Bun.write(w.path(`${run_id}.release`), "0");
  await api.reached(run_id, "completed");
  expect(linesWith(first, /WARN|ERROR|Registered again/)).toBe(0);
});

test("a second instance takes over within seconds when the first is killed", async () => {
  await using w = new World();
  const { api } = await w.coordinator();
  const first = runnerOf(w, api.url, "home-a");
  await first.line(/waiting for runs/);
  const second = runnerOf(w, api.url, "home-b");
  await second.line(WARNING);
  first.signal("SIGKILL");
  const killedMs = performance.now();
  await second.line(/waiting for runs/);
  expect(performance.now() - killedMs).toBeLessThan(AT_ONCE_MS);
});

test("an instance that comes back after another took over ends its executors and exits with 1", async () => {
  await using w = new World();
  const { api } = await w.coordinator();
  const first = runnerOf(w, api.url, "home-a");
  await first.line(/waiting for runs/);
  const { run_id } = await api.submit("x");
  await w.file(`${run_id}.ready`);
  first.signal("SIGSTOP");
  const second = runnerOf(w, api.url, "home-b");
  // The open poll of the first one looks alive until it times out.
  await second.line(/waiting for runs/, START_MS);
  first.signal("SIGCONT");
  await until("the executor to be gone", () => processesWith("AGENT_RUN_ID", run_id).length === 0);
  expect(await first.exited).toBe(1);
  expect(linesWith(first, /ERROR.*has taken over: shutting down/)).toBe(1);
  // The second one does not know the run.
  await api.reached(run_id, "failed");
  expect(await api.run(run_id)).toMatchObject({ reason: "runner_lost" });
  const next = await api.submit("x");
  await w.file(`${next.run_id}.ready`);
  await Bun.write(w.path(`${next.run_id}.release`), "0");
  await api.reached(next.run_id, "completed");
});

test("an instance that is interrupted after another took over leaves the other's registration alone", async () => {
  await using w = new World();
  const { api } = await w.coordinator();
  const first = runnerOf(w, api.url, "home-a");
  await first.line(/waiting for runs/);
  first.signal("SIGSTOP");
  const second = runnerOf(w, api.url, "home-b");
  // The open poll of the first one looks alive until it times out.
  await second.line(/waiting for runs/, START_MS);
  first.signal("SIGINT");
  first.signal("SIGCONT");
  await first.exited;
  const { run_id } = await api.submit("x");
  await w.file(`${run_id}.ready`);
  await Bun.write(w.path(`${run_id}.release`), "0");
  await api.reached(run_id, "completed");
  expect(linesWith(second, /Deregistered|Registered again/)).toBe(0);
});
