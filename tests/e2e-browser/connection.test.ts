import { expect, setDefaultTimeout, test } from "bun:test";
import { keepPicture, sharedBrowser } from "../harness/browser.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const browser = sharedBrowser();
const REFUSED = /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|Failed to load resource/;

test("where the coordinator has a token the page asks for it, and keeps it out of addresses, cookies and history", async () => {
  await using w = new World();
  const token = "only-for-tests-3f9c";
  const process = w.start(["coordinator", "--port", "0"], { env: { AGENT_COORDINATOR_TOKEN: token } });
  const [, url = ""] = await process.line(/agent-runner -c (\S+)/);
  await browser.visit(url, async (tab) => {
    tab.expect(/401/);
    const { page } = tab;
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    await page.getByLabel("Token").fill("wrong");
    await page.getByRole("button", { name: "Open" }).click();
    await page.getByRole("alert").getByText("does not accept").waitFor();
    await keepPicture(page, "login");
    await page.getByLabel("Token").fill(token);
    await page.keyboard.press("Enter");
    await page.getByText("Nothing has run yet").waitFor();
    expect(asked.length).toBeGreaterThan(3);
    expect([...asked, page.url()].filter((each) => each.includes(token) || each.includes("wrong"))).toEqual([]);
    expect(await page.context().cookies()).toEqual([]);
    await page.reload();
    await page.getByText("Nothing has run yet").waitFor();
  });
});

test("a coordinator that goes away is said to, and when it is back what was missed is there", async () => {
  await using w = new World();
  const first = await w.coordinator();
  const port = Number(new URL(first.api.url).port);
  await browser.visit(first.api.url, async (tab) => {
    tab.expect(REFUSED);
    const { page } = tab;
    await page.getByText("Nothing has run yet").waitFor();
    first.process.signal("SIGKILL");
    await page.getByText("Disconnected.").waitFor();
    await keepPicture(page, "disconnected");
    const second = await w.coordinator(port);
    await second.api.submit("Missed by the page", { not_before: "2099-01-01T00:00:00Z" });
    await page.getByText("Missed by the page").waitFor();
    await page.getByText("Disconnected.").waitFor({ state: "detached" });
  });
});

test("with ten thousand sessions and hundreds of events the page holds few elements, asks seldom, and still answers", async () => {
  await using w = new World();
  const { api } = await w.coordinator();
  const create = (i: number): Promise<unknown> => api.submit(`Session number ${i}`, { session_id: `many-${i}`, not_before: "2099-01-01T00:00:00Z" });
  for (let i = 0; i < 10_000; i += 100) await Promise.all(Array.from({ length: 100 }, (_, j) => create(i + j)));
  await browser.visit(`${api.url}/#/sessions`, async ({ page }) => {
    await page.getByText("Session number 9999").waitFor();
    const elements = (): Promise<number> => page.evaluate(() => document.querySelectorAll("*").length);
    expect(await elements()).toBeLessThan(4_000);
    let seen = 9_999;
    for (let i = 0; i < 12; i++) {
      await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
      await until("further ones are there", async () => {
        const last = Number(/number (\d+)/.exec((await page.getByRole("listitem").last().textContent()) ?? "")?.[1] ?? seen);
        return last < seen && (seen = last);
      });
    }
    expect(seen).toBeLessThan(9_500);
    expect(await elements()).toBeLessThan(4_000);

    await page.goto(`${api.url}/#/session/many-42`);
    await page.getByRole("region", { name: "Conversation" }).waitFor();
    let requests = 0;
    page.on("request", () => requests++);
    const say = (i: number): Promise<Response> => fetch(`${api.url}/sessions/many-42/events`, { method: "POST", body: JSON.stringify({ event_type: "message", session_id: "many-42", role: "assistant", content: [{ type: "text", text: `word ${i}` }] }) });
    for (let i = 0; i < 1_000; i += 50) await Promise.all(Array.from({ length: 50 }, async (_, j) => (await say(i + j)).body?.cancel()));
    await page.getByText("word 999", { exact: true }).waitFor();
    expect(await elements()).toBeLessThan(4_000);
    expect(requests).toBeLessThan(500);
    await page.getByRole("link", { name: "Overview" }).click();
    await page.getByRole("heading", { name: "Waiting" }).waitFor();
  });
});
