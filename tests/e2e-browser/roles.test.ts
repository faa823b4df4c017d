import { expect, setDefaultTimeout, test } from "bun:test";
import { sharedBrowser } from "../harness/browser.ts";
import { until } from "../harness/until.ts";
import { START_MS, TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const browser = sharedBrowser();

test("a page logged in with a role shows what it may do, and says what it may not", async () => {
  await using world = new World();
  const started = world.start(["up", "--port", "0", "-x", "test-executor"]);
  const [, url = ""] = await started.line(/Connecting to Agent Coordinator at (\S+)/, START_MS);
  await started.line(/Runner started/, START_MS);
  const tokens: Record<string, string> = {};
  for (const role of ["read", "submit"]) {
    const { code, stdout } = await world.run(["tokens", "create", `the-${role}`, "--role", role, "-c", url]);
    expect(code).toBe(0);
    tokens[role] = stdout.trim();
  }
  const submitted = await world.run(["submit", "--json", "-c", url, "!sleep 5m\nnever sent"], {
    env: { AGENT_COORDINATOR_TOKEN: tokens["submit"] ?? "" },
  });
  const [session = ""] = /ses_\w+/.exec(submitted.stdout) ?? [];
  expect(session).not.toBe("");
  const linkFor = async (role: string): Promise<string> => {
    const env = { AGENT_COORDINATOR_TOKEN: tokens[role] ?? "" };
    return (await world.run(["token", "--link", "-c", url], { env })).stdout.trim();
  };

  await browser.visit(await linkFor("read"), async ({ page }) => {
    await page.getByText("Your token the-read has the role read; this needs submit or admin").waitFor();
    expect(await page.getByRole("button", { name: "Start a run" }).first().isDisabled()).toBeTrue();
    await page.goto(`${url}/#/session/${session}`);
    await page.getByRole("button", { name: "Copy ID" }).first().waitFor();
    await page.getByText("Created by the-submit from 127.0.0.1").waitFor();
    expect(await page.getByRole("button", { name: "Stop", exact: true }).count()).toBe(0);
    await page.goto(`${url}/#/runners`);
    await page.getByRole("button", { name: "Copy ID" }).first().waitFor();
    expect(await page.getByRole("button", { name: "Deregister" }).count()).toBe(0);
  });

  await browser.visit(await linkFor("submit"), async ({ page }) => {
    await page.goto(`${url}/#/session/${session}`);
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Stop", exact: true }).click();
    await until("the run names who stopped it", async () => {
      const { stdout } = await world.run(["runs", "--json", "-c", url]);
      return stdout.includes('"stopped_by": "the-submit"');
    });
    await page.getByText("Stopped by the-submit from 127.0.0.1").waitFor();
    expect(await page.getByText("has the role").count()).toBe(0);
  });
});
