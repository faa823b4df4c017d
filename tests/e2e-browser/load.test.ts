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
/** What a reader could ever look at has fewer elements; ten thousand sessions have more if they are all there. */
const MOST_NODES = 6_000;

const nodesOf = (page: Page): Promise<number> => page.evaluate(() => document.querySelectorAll("*").length);

/** Sends events of a session, about so many a second. */
async function send(api: CoordinatorApi, sessionId: string): Promise<void> {
  const begunMs = performance.now();
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
    await Bun.sleep(Math.max(0, begunMs + (i * 1_000) / EVENTS_A_SECOND - performance.now()));
  }
}

async function longLife(world: World): Promise<CoordinatorApi> {
  const first = await world.coordinator();
  first.process.signal("SIGTERM");
  await first.process.exited;
  fillDatabase(join(world.stateDir, "coordinator.sqlite"), { ended: SESSIONS, pending: 0 });
  return (await world.coordinator()).api;
}

test("a list of 10,000 is read and drawn as far as its reader goes", async () => {
  await using world = new World();
  const { url } = await longLife(world);
  await browser.visit(`${url}/#/sessions`, async ({ page }) => {
    const seen = new Set<string>();
    let most = 0;
    await until(
      "a thousand were seen",
      async () => {
        await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
        for (const id of await page.evaluate(() =>
          [...document.querySelectorAll<HTMLElement>("[data-session]")].map((row) => row.dataset["session"] ?? ""),
        ))
          seen.add(id);
        most = Math.max(most, await nodesOf(page));
        return seen.size >= 1_000;
      },
      40_000,
    );
    expect(most).toBeLessThan(MOST_NODES);
    await page.evaluate(() => scrollTo(0, 0));
    await page.getByRole("listitem").first().waitFor();
  });
});

test("with 10,000 sessions and 200 events a second the page stays small, and answers", async () => {
  await using world = new World();
  const api = await longLife(world);
  const { session_id } = await api.submit("the one that says much");
  await browser.visit(`${api.url}/#/sessions`, async ({ page }) => {
    await page.getByText("the one that says much").first().waitFor();
    const sending = send(api, session_id);
    const seen: number[] = [await nodesOf(page)];
    for (const name of ["Overview", "Statistics", "Sessions"]) {
      await page.getByRole("link", { name, exact: true }).click();
      await page.getByRole("heading", { level: 1, name }).waitFor({ state: "attached" });
      seen.push(await nodesOf(page));
    }
    await page.goto(pageOf(api, session_id));
    await page
      .getByText(/event \d+ of many/)
      .first()
      .waitFor();
    await sending;
    await page.getByText(`event ${EVENTS} of many`).waitFor();
    seen.push(await nodesOf(page));
    expect(Math.max(...seen)).toBeLessThan(MOST_NODES);

    // A reader who is elsewhere stays there, whatever comes.
    const talk = page.getByRole("region", { name: "Conversation" });
    await talk.evaluate((box) => void (box.scrollTop = box.scrollHeight / 2));
    await page.getByRole("button", { name: /To the newest/ }).waitFor();
    const placeOf = (): Promise<number> => talk.evaluate((box) => box.scrollTop);
    const before = await placeOf();
    await fetch(`${api.url}/sessions/${session_id}/events`, {
      method: "POST",
      body: JSON.stringify({
        event_type: "message",
        session_id,
        role: "assistant",
        content: [{ type: "text", text: "the very last" }],
      }),
    });
    await page.getByRole("button", { name: /More has come/ }).click({ trial: true });
    expect(await placeOf()).toBe(before);
    await page.getByRole("button", { name: /More has come/ }).click();
    await page.getByText("the very last").waitFor();
    // And back to the beginning, a page at a time.
    await until(
      "the first is there",
      async () => {
        await talk.evaluate((box) => void (box.scrollTop = 0));
        return (await page.getByText("event 1 of many", { exact: true }).count()) === 1;
      },
      30_000,
    );
    expect(await nodesOf(page)).toBeLessThan(MOST_NODES);
  });
});
