import { expect, setDefaultTimeout, test } from "bun:test";
import { sharedBrowser } from "../harness/browser.ts";
import { pageOf, sharedDashboard } from "../harness/dashboard-world.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const browser = sharedBrowser();
const dashboard = sharedDashboard();

test("a run that is started from the form is seen to its end", async () => {
  const { api, world } = dashboard;
  await api.createAgent({ name: "researcher", description: "Looks things up", system_prompt: "You look things up." });
  await browser.visit(api.url, async ({ page }) => {
    await page.getByRole("button", { name: "Start a run" }).first().click();
    await page.getByRole("textbox", { name: "Prompt" }).fill("!tool Search\n!wait form-go-on\nFind the answer");
    await page.getByLabel("Agent").selectOption("researcher");
    await page.getByLabel("Project folder").fill(world.projectDir);
    await page.getByRole("button", { name: "Start", exact: true }).click();

    await page.getByText("running").first().waitFor();
    await page.getByRole("region", { name: "Conversation" }).getByText("Search", { exact: true }).waitFor();
    await Bun.write(world.path("form-go-on"), "");
    await page.getByText("finished").first().waitFor();
    await page.getByText(/turn 1 of session ses_\w+: Find the answer/).waitFor();
    await page.getByRole("img", { name: /Where the time went: .*running/ }).waitFor();
    await page.getByText("researcher").first().waitFor();
  });
});

test("a session that is resumed with a message shows both turns", async () => {
  const { api } = dashboard;
  const { run_id, session_id } = await api.submit("the first message");
  await api.reached(run_id, "completed");
  await browser.visit(pageOf(api, session_id), async ({ page }) => {
    await page.getByText("turn 1 of session").waitFor();
    await page.getByRole("button", { name: "Send a message" }).click();
    await page.getByRole("textbox", { name: "Message" }).fill("the second message");
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await page.getByText(/turn 2 of session ses_\w+: the second message/).waitFor();
    await until("both runs are listed", async () => (await page.locator(".run-card").count()) === 2);
  });
});

test("a run that is stopped says so, after it was asked whether it should", async () => {
  const { api } = dashboard;
  const { run_id, session_id } = await api.submit("!sleep 5m\nnever said");
  await api.reached(run_id, "running");
  await browser.visit(pageOf(api, session_id), async ({ page }) => {
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    expect((await api.run(run_id)).status).toBe("running");
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Stop", exact: true }).click();
    await api.reached(run_id, "stopped");
    await page.locator(".session-line").getByText("stopped").waitFor();
  });
});

test("a tree that is stopped runs nowhere any more, and its parent is not resumed", async () => {
  const { api } = dashboard;
  const { run_id, session_id } = await api.submit(
    "!child !sleep 5m\n!child !child !sleep 5m\\n!sleep 5m\nI have started two",
  );
  await api.reached(run_id, "completed");
  const openInTree = async (): Promise<string[]> =>
    (await api.runs())
      .filter(({ status }) => ["pending", "claimed", "running", "stopping"].includes(status))
      .map((run) => run.run_id);
  await until("both children run", async () => (await openInTree()).length === 2);
  await browser.visit(pageOf(api, session_id), async ({ page }) => {
    await page.getByText("0 of 2 done").waitFor();
    await page.getByRole("button", { name: "Stop the tree" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Stop all" }).click();
    await page.getByText("2 of 2 done").waitFor();
    await until("nothing of it runs", async () => (await openInTree()).length === 0);
  });
  const runs = (await api.runs()).filter((run) => run.session_id === session_id);
  expect(runs).toHaveLength(1);
});

test("a run that has failed shows why, and is tried again", async () => {
  const { api } = dashboard;
  const { run_id, session_id } = await api.submit("!fail the disk is full");
  await api.reached(run_id, "failed");
  await browser.visit(pageOf(api, session_id), async ({ page }) => {
    await page.locator(".session-head .failure").getByText("the disk is full").waitFor();
    await page.getByRole("button", { name: "Retry" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Retry" }).click();
    await until("there are two runs", async () => (await page.locator(".run-card").count()) === 2);
  });
});

test("with the keyboard alone a run is started, its session opened and stopped", async () => {
  const { api } = dashboard;
  await browser.visit(api.url, async ({ page }) => {
    const { keyboard } = page;
    const tabTo = async (name: string): Promise<void> => {
      for (let presses = 0; presses < 60; presses++) {
        await keyboard.press("Tab");
        if ((await page.evaluate(() => document.activeElement?.textContent?.trim() ?? "")) === name) return;
      }
      throw new Error(`Tab does not lead to ${name}`);
    };
    await page.getByRole("button", { name: "Start a run" }).first().waitFor();
    await tabTo("Start a run");
    await keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await until("the prompt has the focus", () =>
      page.evaluate(() => document.activeElement?.getAttribute("name") === "prompt"),
    );
    await keyboard.type("!sleep 5m");
    await tabTo("Start");
    await keyboard.press("Enter");
    await page.locator(".session-line").getByText("running").waitFor();
    await tabTo("Stop");
    await keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await tabTo("Stop");
    await keyboard.press("Enter");
    await page.locator(".session-line").getByText("stopped").waitFor();
  });
});
