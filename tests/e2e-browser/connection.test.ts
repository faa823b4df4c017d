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

test("the link of the program's output logs in once, and leaves no code in the address or the history", async () => {
  await using w = new World();
  const process = w.start(["coordinator", "--port", "0"]);
  const [, link = ""] = await process.line(/Dashboard: (\S+#login=\S+) /);
  await browser.visit(link, async (tab) => {
    const { page } = tab;
    await page.getByText("No runs yet").waitFor();
    expect(new URL(page.url()).hash).toBe("#/");
    expect(await page.evaluate("history.length")).toBeLessThanOrEqual(2);
    expect(await page.evaluate("localStorage.length")).toBe(0);
    expect(await page.context().cookies()).toEqual([]);
    await page.reload();
    await page.getByText("No runs yet").waitFor();
    // A new link in the same tab: only the fragment changes. Until then the page may call without a token.
    tab.expect(/401/);
    const { stdout } = await w.run(["token", "--link", "-c", new URL(link).origin]);
    await page.evaluate("sessionStorage.clear()");
    await page.goto(stdout.trim());
    await page.getByText("No runs yet").waitFor();
  });
  await browser.visit(link, async (tab) => {
    tab.expect(/401/);
    await tab.page.getByLabel("Token").waitFor();
    await keepPicture(tab.page, "used-link");
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
