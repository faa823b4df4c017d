import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { fillDatabase } from "../../bench/fill-database.ts";
import { sharedBrowser } from "../harness/browser.ts";
import type { CoordinatorApi } from "../harness/coordinator-api.ts";
import { pageOf } from "../harness/dashboard-world.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const browser = sharedBrowser();
const SESSIONS = 10_000;
const EVENTS = 1_000;
const EVENTS_A_SECOND = 200;
/** A page that draws only what is in view has fewer elements; 10,000 drawn sessions have more. */
const MAX_NODES = 6_000;

const nodesOf = (page: Page): Promise<number> => page.evaluate(() => document.querySelectorAll("*").length);

/** Sends EVENTS events of a session, at EVENTS_A_SECOND. */
async function sendEvents(api: CoordinatorApi, sessionId: string): Promise<void> {
  const startMs = performance.now();
  for (let i = 1; i <= EVENTS; i++) {
    const event = {
      event_type: "message",
      session_id: sessionId,
      role: "assistant",
      content: [{ type: "text", text: `event ${i} of many` }],
    };
    const response = await fetch(`${api.url}/sessions/${sessionId}/events`, {
      method: "POST",
      body: JSON.stringify(event),
    });
    if (!response.ok) throw new Error(await response.text());
    // Paces the events.
    await Bun.sleep(Math.max(0, startMs + (i * 1_000) / EVENTS_A_SECOND - performance.now()));
  }
}

/** A coordinator whose database already holds SESSIONS sessions. */
async function filledCoordinator(world: World): Promise<CoordinatorApi> {
  const first = await world.coordinator();
  first.process.signal("SIGTERM");
  await first.process.exited;
  fillDatabase(join(world.stateDir, "coordinator.sqlite"), { ended: SESSIONS, pending: 0 });
  return (await world.coordinator()).api;
}

test("a list of 10,000 sessions is read and drawn only where the reader scrolls", async () => {
  await using world = new World();
  const { url } = await filledCoordinator(world);
  await browser.visit(`${url}/#/sessions`, async ({ page }) => {
    const seen = new Set<string>();
    let maxNodes = 0;
    await until("1,000 sessions were drawn", async () => {
      await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
      for (const id of await page.evaluate(() =>
        [...document.querySelectorAll<HTMLElement>("[data-session]")].map((row) => row.dataset["session"] ?? ""),
      ))
        seen.add(id);
      maxNodes = Math.max(maxNodes, await nodesOf(page));
      return seen.size >= 1_000;
    });
    expect(maxNodes).toBeLessThan(MAX_NODES);
    await page.evaluate(() => scrollTo(0, 0));
    await page.getByRole("listitem").first().waitFor();
  });
});

test("with 10,000 sessions and 200 events a second the page stays small and responsive", async () => {
  await using world = new World();
  const api = await filledCoordinator(world);
  const { session_id } = await api.submit("a session with many events");
  await browser.visit(`${api.url}/#/sessions`, async ({ page }) => {
    await page.getByText("a session with many events").first().waitFor();
    const sending = sendEvents(api, session_id);
    const nodes: number[] = [await nodesOf(page)];
    for (const name of ["Overview", "Statistics", "Sessions"]) {
      await page.getByRole("link", { name, exact: true }).click();
      await page.getByRole("heading", { level: 1, name }).waitFor({ state: "attached" });
      nodes.push(await nodesOf(page));
    }
    await page.goto(pageOf(api, session_id));
    await page
      .getByText(/event \d+ of many/)
      .first()
      .waitFor();
    await sending;
    await page.getByText(`event ${EVENTS} of many`).waitFor();
    nodes.push(await nodesOf(page));
    expect(Math.max(...nodes)).toBeLessThan(MAX_NODES);

    // New events do not move a reader who is not at the end.
    const conversation = page.getByRole("region", { name: "Conversation" });
    await conversation.evaluate((box) => void (box.scrollTop = box.scrollHeight / 2));
    await page.getByRole("button", { name: /Jump to newest/ }).waitFor();
    const scrollTop = (): Promise<number> => conversation.evaluate((box) => box.scrollTop);
    const before = await scrollTop();
    await fetch(`${api.url}/sessions/${session_id}/events`, {
      method: "POST",
      body: JSON.stringify({
        event_type: "message",
        session_id,
        role: "assistant",
        content: [{ type: "text", text: "the last event" }],
      }),
    });
    await page.getByRole("button", { name: /New events/ }).click({ trial: true });
    expect(await scrollTop()).toBe(before);
    await page.getByRole("button", { name: /New events/ }).click();
    await page.getByText("the last event").waitFor();
    // Back to the start, page by page.
    await until("the first event is shown", async () => {
      await conversation.evaluate((box) => void (box.scrollTop = 0));
      return (await page.getByText("event 1 of many", { exact: true }).count()) === 1;
    });
    expect(await nodesOf(page)).toBeLessThan(MAX_NODES);
  });
});
