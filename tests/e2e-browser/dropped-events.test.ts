import { expect, setDefaultTimeout, test } from "bun:test";
import { sharedBrowser } from "../harness/browser.ts";
import { CoordinatorApi } from "../harness/coordinator-api.ts";
import { START_MS, TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const browser = sharedBrowser();

test("the number of events that were left out is on the page, and told by submit and logs", async () => {
  await using world = new World();
  const config = world.path("settings.toml");
  await Bun.write(config, '[coordinator]\nevents_limit = "4KiB"\n');
  const up = world.start(["up", "--no-token", "--port", "0", "-x", "test-executor", "--config", config]);
  const [, url = ""] = await up.line(/Connecting to Agent Coordinator at (\S+)/, START_MS);
  const api = new CoordinatorApi(url);
  const submitted = await world.run(["submit", "--wait", "-c", url, "!tool Search\n".repeat(20) + "Hello"]);
  expect(submitted.code).toBe(0);
  const [run] = await api.runs();
  const { run_id = "", session_id = "" } = run ?? {};
  const { events_dropped: count } = (await (await fetch(`${url}/runs/${run_id}`)).json()) as { events_dropped: number };
  expect(count).toBeGreaterThan(1);
  const told = `Run ${run_id}: ${count} events were left out`;
  expect(submitted.stderr).toContain(told);
  const json = await world.run(["runs", "--json", "-c", url]);
  expect(json.stdout).toContain(`"events_dropped": ${count}`);
  expect((await world.run(["logs", run_id, "-c", url])).stderr).toContain(told);
  await browser.visit(`${url}/#/session/${session_id}`, async ({ page }) => {
    await page.getByText(`${count} events left out`).waitFor();
  });
  const few = await world.run(["submit", "--wait", "-c", url, "Hello"]);
  expect(few.stderr).not.toContain("left out");
});
