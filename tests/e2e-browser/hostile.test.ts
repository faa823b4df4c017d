import { expect, setDefaultTimeout, test } from "bun:test";
import type { Page } from "playwright-core";
import { sharedBrowser } from "../harness/browser.ts";
import { pageOf, sharedDashboard } from "../harness/dashboard-world.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS } from "../harness/world.ts";
import { ALL_HOSTILE, HOSTILE } from "./hostile.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const browser = sharedBrowser();
const dashboard = sharedDashboard(["--tags", HOSTILE["handler"]?.replaceAll(",", ";") ?? ""]);

async function post(path: string, body: object): Promise<void> {
  const response = await fetch(dashboard.api.url + path, {
    method: "POST",
    body: JSON.stringify(body),
    keepalive: false,
  });
  if (!response.ok) throw new Error(await response.text());
}

/** Checks that no hostile text became part of the page. The visit itself checks errors, dialogs and requests. */
async function expectHarmless(page: Page): Promise<void> {
  expect(await page.evaluate(() => "pwned" in window)).toBe(false);
  expect(
    await page.locator(".pwned, iframe, main form, main style, main img, main script, a[href^='javascript']").count(),
  ).toBe(0);
}

test("hostile prompts, messages, tool calls, names and tags never become part of the page", async () => {
  const { api } = dashboard;
  await api.createAgent({ name: "hostile", description: ALL_HOSTILE, system_prompt: "x" });
  const { run_id, session_id } = await api.submit(
    `!stderr 10B\n!fail ${ALL_HOSTILE.replaceAll("\n", " ")}\n${ALL_HOSTILE}`,
    { agent_name: "hostile", max_attempts: 1 },
  );
  await api.reached(run_id, "failed");
  for (const [name, text] of Object.entries(HOSTILE)) {
    await post("/events", {
      event_type: "message",
      session_id,
      role: name === "script" ? text : "assistant",
      content: [{ type: "text", text }],
    });
    await post("/events", {
      event_type: "post_tool",
      session_id,
      tool_name: text.slice(0, 100),
      tool_input: { [text]: text },
      tool_output: text,
      error: text,
    });
    await post("/events", { event_type: text, session_id, reason: text, something: [text] });
  }
  await browser.visit(pageOf(api, session_id), async ({ page }) => {
    await page.getByRole("region", { name: "Conversation" }).getByText("window.pwned = 1").first().waitFor();
    await until("every section is open", async () => {
      const folded = "details:not([open])";
      await page.evaluate(
        (selector) =>
          document.querySelectorAll<HTMLDetailsElement>(selector).forEach((details) => (details.open = true)),
        folded,
      );
      return (await page.locator(folded).count()) === 0;
    });
    await page.getByRole("region", { name: "stderr" }).getByText("window.pwned = 1").first().waitFor();
    await expectHarmless(page);
    const shown = (await page.locator("main").textContent()) ?? "";
    expect(shown).toContain(HOSTILE["handler"] ?? "");
    // oxlint-disable-next-line no-control-regex
    expect(shown).not.toMatch(/[\u202e\u2066\u001b\u0007]/);
    for (const [path, name] of [
      ["#/", "Overview"],
      ["#/sessions", "Sessions"],
      ["#/runners", "Runners"],
      ["#/statistics", "Statistics"],
    ] as const) {
      await page.goto(`${api.url}/${path}`);
      await page.getByRole("heading", { name, exact: true }).waitFor();
      await expectHarmless(page);
    }
    await page.goto(`${api.url}/#/runners`);
    await page.getByText("onerror").first().waitFor();
    await page.getByRole("button", { name: "Start a run" }).first().click();
    await page.getByRole("option", { name: /hostile/ }).waitFor({ state: "attached" });
    await expectHarmless(page);
  });
});

test("a hostile session id in the URL never becomes part of the page", async () => {
  const { api } = dashboard;
  for (const id of [HOSTILE["handler"] ?? "", "javascript:alert(1)", "../../x", "%zz"]) {
    await browser.visit(`${api.url}/#/session/${encodeURIComponent(id)}`, async (tab) => {
      tab.expect(/Failed to load resource/);
      await tab.page.getByRole("heading", { level: 1 }).waitFor();
      await expectHarmless(tab.page);
    });
  }
});
