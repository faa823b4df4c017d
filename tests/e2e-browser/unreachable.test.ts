import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { accessibilityFaults, keepPicture, PHONE, sharedBrowser } from "../harness/browser.ts";
import type { StartedBinary } from "../harness/binary.ts";
import { pageOf } from "../harness/dashboard-world.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const browser = sharedBrowser();
const BROKEN = /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|Failed to load resource/;

function startRunner(w: World, url: string): StartedBinary {
  return w.runner(url, "waits-for-release", ["-p", w.projectDir, "--max-concurrent", "5"], {
    HEARTBEAT_INTERVAL: "0.3",
  });
}

/** Kills the coordinator, changes its database, and starts it again on the same port. */
async function changed(
  w: World,
  { api, process }: Awaited<ReturnType<World["coordinator"]>>,
  sql: string,
  args: readonly string[] = [],
): Promise<Awaited<ReturnType<World["coordinator"]>>> {
  process.signal("SIGKILL");
  await process.exited;
  const database = new Database(join(w.stateDir, "coordinator.sqlite"));
  database.run(sql);
  database.close();
  return w.coordinator(Number(new URL(api.url).port), args);
}

const MAKE_STALE = "UPDATE runners SET status = 'stale'";

async function checked(page: Page, picture: string): Promise<void> {
  await keepPicture(page, picture);
  expect({ picture, faults: await accessibilityFaults(page) }).toEqual({ picture, faults: [] });
}

test("a runner that cannot be reached is shown with a countdown, on its page and on those of its runs", async () => {
  await using w = new World();
  let c = await w.coordinator();
  const runner = startRunner(w, c.api.url);
  const [running, stopping] = [await c.api.submit("Count the stars"), await c.api.submit("Sort the mail")];
  for (const { run_id } of [running, stopping]) await w.file(`${run_id}.ready`);
  runner.signal("SIGSTOP");
  await c.api.stop(stopping.run_id);
  c = await changed(w, c, MAKE_STALE);
  await browser.visit(`${c.api.url}/#/runners`, async ({ page }) => {
    const countdown = page.locator("[data-runner] .countdown");
    await page.getByText(/cannot be reached: its runs are given up in 1[0-4] min \d\d s/).waitFor();
    await page.getByText(/The coordinator has just started/).waitFor();
    const first = await countdown.textContent();
    await until("the countdown to go on", async () => (await countdown.textContent()) !== first);
    await checked(page, "unreachable-runner");
  });
  await browser.visit(pageOf(c.api, running.session_id), async ({ page }) => {
    await page
      .getByText(/^Its runner on .+ cannot be reached\. The run is given up in 1[0-4] min/)
      .first()
      .waitFor();
    await page.getByText("running: runner unreachable").waitFor();
    await checked(page, "unreachable-running");
  });
  await browser.visit(
    pageOf(c.api, stopping.session_id),
    async ({ page }) => {
      await page
        .getByText(/^Stopping: its runner on .+ cannot be reached\. The run stays stopping until the runner answers/)
        .first()
        .waitFor();
      await checked(page, "unreachable-stopping-phone");
      runner.signal("SIGCONT");
      await page
        .getByText(/cannot be reached/)
        .first()
        .waitFor({ state: "detached" });
    },
    { viewport: PHONE },
  );
  await Bun.write(w.path(`${running.run_id}.release`), "0");
  await c.api.reached(running.run_id, "completed");
});

test("a run whose runner was lost says so in words, with what the runner reported later", async () => {
  await using w = new World();
  const c = await w.coordinator(0, ["--lost-after", "1s"]);
  const runner = startRunner(w, c.api.url);
  const { run_id, session_id } = await c.api.submit("Count the stars");
  await w.file(`${run_id}.ready`);
  runner.signal("SIGSTOP");
  await c.api.reached(run_id, "failed");
  await browser.visit(pageOf(c.api, session_id), async ({ page }) => {
    await page.getByText("Failed: its runner was lost before it reported the end.").first().waitFor();
    runner.signal("SIGCONT");
    await page
      .getByText(/Its runner came back at .* and reported: stopped/)
      .first()
      .waitFor();
    await checked(page, "runner-lost");
  });
});

test("the page says that a backup was restored, until the runners have answered or are deregistered", async () => {
  await using w = new World();
  let c = await w.coordinator();
  const runner = startRunner(w, c.api.url);
  await runner.line(/waiting for runs/);
  runner.signal("SIGSTOP");
  c = await changed(w, c, "INSERT INTO counters (name, value) VALUES ('restored', 1)");
  await browser.visit(`${c.api.url}/#/runners`, async ({ page }) => {
    await page.getByText("A backup of the database was restored.").waitFor();
    await page.getByText(/until 1 runner has reported .* for at most 1[0-5] min/).waitFor();
    await page.getByText("This runner has not reported yet which runs it holds").waitFor();
    await checked(page, "restored");
    await page.getByRole("button", { name: "Deregister" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Deregister" }).click();
    await page.getByText("A backup of the database was restored.").waitFor({ state: "detached" });
  });
  runner.signal("SIGCONT");
});

test("the page says that the coordinator's database is faulty", async () => {
  await using w = new World();
  const { api } = await w.coordinator();
  const detail = "The coordinator's database /var/lib/c.sqlite cannot be used: no room on the disk";
  await browser.visit(api.url, async (tab) => {
    tab.expect(BROKEN);
    const { page } = tab;
    await page.getByText("No runs yet").waitFor();
    await page.route("**/health", (route) => route.fulfill({ status: 503, json: { status: "unhealthy", detail } }));
    await page.getByText("The coordinator is in trouble.").waitFor();
    await page.getByText(detail).waitFor();
    await checked(page, "faulty-database");
    await page.unroute("**/health");
    await page.getByText("The coordinator is in trouble.").waitFor({ state: "detached" });
  });
});
