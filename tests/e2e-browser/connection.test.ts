import { expect, setDefaultTimeout, test } from "bun:test";
import { keepPicture, sharedBrowser } from "../harness/browser.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const browser = sharedBrowser();
const REFUSED = /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|Failed to load resource/;

test("a page that needs a token asks for it, and keeps it out of URLs and cookies", async () => {
  await using w = new World();
  const token = "only-for-tests-3f9c";
  const process = w.start(["coordinator", "--port", "0"], { env: { AGENT_COORDINATOR_TOKEN: token } });
  const [, url = ""] = await process.line(/agent-runner -c (\S+)/);
  await browser.visit(url, async (tab) => {
    tab.expect(/401/);
    const { page } = tab;
    const urls: string[] = [];
    page.on("request", (request) => urls.push(request.url()));
    await page.getByLabel("Token").fill("wrong");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("alert").getByText("rejected this token").waitFor();
    await keepPicture(page, "login");
    await page.getByLabel("Token").fill(token);
    await page.keyboard.press("Enter");
    await page.getByText("No runs yet").waitFor();
    expect(urls.length).toBeGreaterThan(3);
    expect([...urls, page.url()].filter((url) => url.includes(token) || url.includes("wrong"))).toEqual([]);
    expect(await page.context().cookies()).toEqual([]);
    await page.reload();
    await page.getByText("No runs yet").waitFor();
  });
});

test("the page says that it is disconnected, and shows what it missed once the coordinator is back", async () => {
  await using w = new World();
  const first = await w.coordinator();
  const port = Number(new URL(first.api.url).port);
  await browser.visit(first.api.url, async (tab) => {
    tab.expect(REFUSED);
    const { page } = tab;
    await page.getByText("No runs yet").waitFor();
    first.process.signal("SIGKILL");
    await page.getByText("Disconnected.").waitFor();
    await keepPicture(page, "disconnected");
    const second = await w.coordinator(port);
    await second.api.submit("Missed by the page", { not_before: "2099-01-01T00:00:00Z" });
    await page.getByText("Missed by the page").waitFor();
    await page.getByText("Disconnected.").waitFor({ state: "detached" });
  });
});
