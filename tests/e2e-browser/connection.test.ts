import { expect, setDefaultTimeout, test } from "bun:test";
import { keepPicture, sharedBrowser } from "../harness/browser.ts";
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
