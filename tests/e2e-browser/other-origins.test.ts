import { expect, setDefaultTimeout, test } from "bun:test";
import { sharedBrowser } from "../harness/browser.ts";
import { CoordinatorApi } from "../harness/coordinator-api.ts";
import { upFor } from "../harness/dashboard-world.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const browser = sharedBrowser();
const RUNS = 20;
/** The harness reports every request to another origin, and each refused one. */
const ANY = /./;

/** A page of another origin: what it may do is up to the coordinator. */
function otherSite(): { url: string } & AsyncDisposable {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Response("<!doctype html><title>other</title>", { headers: { "content-type": "text/html" } }),
  });
  return { url: `http://localhost:${server.port}/`, [Symbol.asyncDispose]: () => server.stop(true) };
}

/** Runs in the other page: each way in which a page can send a request without being asked. Returns what it read. */
async function attack({ target, runnerId }: { target: string; runnerId: string }): Promise<string[]> {
  const read: string[] = [];
  const body = JSON.stringify({ type: "start_session", prompt: "from another page" });
  const send = async (init: RequestInit, path = "/runs"): Promise<void> => {
    try {
      const text = await (await fetch(target + path, init)).text();
      if (text !== "") read.push(text);
    } catch {
      // Refused, as it should be.
    }
  };
  await send({});
  await send({ method: "POST", body });
  await send({ method: "POST", body, mode: "no-cors" });
  await send({ method: "POST", body, headers: { "content-type": "application/json" } });
  await send({ method: "POST", body: "{}", mode: "no-cors" }, "/runner/register");
  navigator.sendBeacon(`${target}/runs`, body);
  const form = Object.assign(document.createElement("form"), {
    method: "post",
    action: `${target}/runs`,
    enctype: "text/plain",
  });
  const name = body.slice(0, -1);
  form.append(Object.assign(document.createElement("input"), { name: `${name},"x":"`, value: '"}' }));
  form.target = "frame";
  const frame = Object.assign(document.createElement("iframe"), { name: "frame" });
  document.body.append(frame, form);
  form.submit();
  const stream = new EventSource(`${target}/sse/sessions`);
  stream.onmessage = ({ data }) => void read.push(String(data));
  const poll = `${target}/runner/runs?runner_id=${runnerId}`;
  for (let i = 0; i < 10; i++) {
    const image = new Image();
    image.onerror = () => setTimeout(() => (image.src = `${poll}&n=${Math.random()}`), 50);
    image.src = poll;
  }
  return read;
}

test.each([
  ["with --no-token", "127.0.0.1"],
  ["with --no-token, under the page's own site", "localhost"],
])("a page on another port creates nothing, reads nothing and starves no runner: %s", async (_, host) => {
  await using world = new World();
  await using other = otherSite();
  const { api } = await upFor(world);
  const target = api.url.replace("127.0.0.1", host);
  const { runners } = (await (await fetch(`${api.url}/runners`, { keepalive: false })).json()) as {
    runners: { runner_id: string }[];
  };
  await browser.visit(other.url, async (tab) => {
    tab.expect(ANY);
    expect(await tab.page.evaluate(attack, { target, runnerId: runners[0]?.runner_id ?? "" })).toEqual([]);
    // Time for the form, the beacon and the images, which tell nobody how they end.
    await Bun.sleep(500);
    expect(await api.runs()).toEqual([]);
    const submitted = await Promise.all(Array.from({ length: RUNS }, () => api.submit("hello")));
    await Promise.all(submitted.map(({ run_id }) => api.reached(run_id, "completed")));
  });
  expect(await api.runs()).toHaveLength(RUNS);
});

test("a page of --allowed-origins may create and read runs", async () => {
  await using world = new World();
  await using other = otherSite();
  const process = world.start([
    "coordinator",
    "--no-token",
    "--port",
    "0",
    "--allowed-origins",
    new URL(other.url).origin,
  ]);
  const [, url = ""] = await process.line(/agent-runner -c (\S+)/);
  const api = new CoordinatorApi(url);
  await browser.visit(other.url, async (tab) => {
    tab.expect(ANY);
    const read = await tab.page.evaluate(async (target) => {
      const body = JSON.stringify({ type: "start_session", prompt: "from an allowed page" });
      await fetch(`${target}/runs`, { method: "POST", body, headers: { "content-type": "application/json" } });
      return (await fetch(`${target}/runs`)).text();
    }, url);
    expect(read).toContain("from an allowed page");
  });
  await until("one run", async () => (await api.runs()).length === 1);
});
