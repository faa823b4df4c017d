import { expect, setDefaultTimeout, test } from "bun:test";
import { accessibilityFaults, sharedBrowser } from "../harness/browser.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const browser = sharedBrowser();
const HEADERS = {
  "content-type": "text/html",
  "content-security-policy": "default-src 'self'; img-src 'self' data:; connect-src *",
};
const HEAD =
  '<!doctype html><html lang="en"><title>A page</title><link rel="icon" href="data:,">' +
  '<script src="page.js" defer></script>';

/** A server for one page and its script. */
function serve(body: string, script = ""): { url: string } & AsyncDisposable {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) =>
      new URL(request.url).pathname === "/page.js"
        ? new Response(script, { headers: { "content-type": "text/javascript" } })
        : new Response(`${HEAD}<main><h1>A page</h1>${body}</main></html>`, { headers: HEADERS }),
  });
  return { url: server.url.href, [Symbol.asyncDispose]: () => server.stop(true) };
}

const BAD_SCRIPT = `
  console.error("dear me");
  fetch("http://127.0.0.1:9/away", { mode: "no-cors" }).catch(() => {});
  alert("attention");
  throw new Error("oh dear");`;
const BAD = [
  /uncaught: .*oh dear/,
  /console: dear me/,
  /Content Security Policy/,
  /alert: attention/,
  /a request to http:\/\/127\.0\.0\.1:9\/away/,
];

test("a visit fails on errors, policy violations, dialogs and requests to other origins", async () => {
  await using server = serve("<p onclick='1'>x</p><script>1</script>", BAD_SCRIPT);
  let faults: readonly string[] = [];
  const visit = browser.visit(server.url, async (tab) => {
    await until("every fault is recorded", () => BAD.every((bad) => tab.faults.some((fault) => bad.test(fault))));
    faults = tab.faults;
  });
  await expect(visit).rejects.toThrow("the page went wrong");
  expect(faults.length).toBeGreaterThanOrEqual(BAD.length);
});

test("a visit ignores the faults that its test expects", async () => {
  await using server = serve("", "console.error('expected'); document.title = 'done'");
  await browser.visit(server.url, async (tab) => {
    tab.expect(/expected/);
    await until("the script has run", async () => (await tab.page.title()) === "done");
  });
});

test("the accessibility scan finds faults under a content security policy", async () => {
  await using server = serve("<img src=page.js><input>");
  await browser.visit(server.url, async ({ page }) => {
    const faults = await accessibilityFaults(page);
    expect(faults.map((fault) => fault.split(" ")[0])).toEqual(["image-alt", "label"]);
  });
});
