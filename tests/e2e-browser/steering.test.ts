import { expect, setDefaultTimeout, test } from "bun:test";
import { sharedBrowser } from "../harness/browser.ts";
import { pageOf, sharedDashboard } from "../harness/dashboard-world.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const browser = sharedBrowser();
const dashboard = sharedDashboard();

test("a run started from the form is followed to its end", async () => {
  const { api, world } = dashboard;
  await api.createAgent({ name: "researcher", description: "Finds answers", system_prompt: "You find answers." });
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
    await page.getByRole("img", { name: /Time by phase: .*running/ }).waitFor();
    await page.getByText("researcher").first().waitFor();
  });
});

test("a session resumed with a message shows both turns", async () => {
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

test("Stop asks for confirmation, then stops the run", async () => {
  const { api } = dashboard;
  const { run_id, session_id } = await api.submit("!sleep 5m\nnever sent");
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

test("Stop tree stops every session of the tree, and resumes no parent", async () => {
  const { api } = dashboard;
  const { run_id, session_id } = await api.submit(
    "!child !sleep 5m\n!child !child !sleep 5m\\n!sleep 5m\nI have started two",
  );
  await api.reached(run_id, "completed");
  const allAre = async (status: string): Promise<boolean> => {
    const children = await api.childrenOf(session_id);
    const below = await Promise.all(children.map((child) => api.childrenOf(child.session_id)));
    const statuses = [...children, ...below.flat()].map((run) => run.status);
    return statuses.length === 3 && statuses.every((each) => each === status);
  };
  await until("both children and the grandchild run", () => allAre("running"));
  await browser.visit(pageOf(api, session_id), async ({ page }) => {
    await page.getByText("0 of 2 done").waitFor();
    await page.getByRole("button", { name: "Stop tree" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Stop all" }).click();
    await page.getByText("2 of 2 done").waitFor();
    await until("every run of the tree is stopped", () => allAre("stopped"));
  });
  expect(await api.runsOf(session_id)).toHaveLength(1);
});

test("a failed run shows its error, and Retry starts a new run", async () => {
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

test("the keyboard alone starts a run, opens its session and stops it", async () => {
  const { api } = dashboard;
  await browser.visit(api.url, async ({ page }) => {
    const { keyboard } = page;
    const tabTo = async (name: string): Promise<void> => {
      for (let presses = 0; presses < 60; presses++) {
        await keyboard.press("Tab");
        if ((await page.evaluate(() => document.activeElement?.textContent?.trim() ?? "")) === name) return;
      }
      throw new Error(`Tab does not reach ${name}`);
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
