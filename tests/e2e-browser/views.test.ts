import { expect, setDefaultTimeout, test } from "bun:test";
import type { Page } from "playwright-core";
import {
  accessibilityFaults,
  DESKTOP,
  keepPicture,
  PHONE,
  sharedBrowser,
  type Theme,
  THEMES,
} from "../harness/browser.ts";
import { pageOf, sharedDashboard } from "../harness/dashboard-world.ts";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const browser = sharedBrowser();
const dashboard = sharedDashboard();
let created: Promise<Sessions> | undefined;

/** Session ids. */
interface Sessions {
  readonly parent: string;
  readonly failed: string;
}

/**
 * Creates, once, a session in every state: a parent that waits for two of its three children, one running, one failed,
 * one without a matching runner, one scheduled, one done.
 */
function sessions(): Promise<Sessions> {
  return (created ??= createSessions());
}

async function createSessions(): Promise<Sessions> {
  const { api } = dashboard;
  await api.createAgent({ name: "planner", description: "Divides the work", system_prompt: "You plan." });
  const done = await api.submit("Summarise the reports of last night");
  const failed = await api.submit(
    '!fail The migration 0042 could not be applied: column "owner" exists\nApply the migrations',
  );
  const parent = await api.submit(
    "!child !sleep 10m\\nAsk the first\n!child !sleep 10m\\nAsk the second\n!child Ask the third\nCompare three offers",
    { agent_name: "planner" },
  );
  await api.submit("!tool Read\n!sleep 10m\nRefactor the billing module");
  await api.submit("Train the model", { additional_demands: { tags: ["gpu"] } });
  await api.submit("Tidy up", { not_before: "2099-01-01T06:00:00Z" });
  await api.reached(done.run_id, "completed");
  await api.reached(failed.run_id, "failed");
  await api.reached(parent.run_id, "completed");
  await until("one child of three has ended", async () =>
    (await api.childrenOf(parent.session_id)).some(
      ({ status, prompt }) => status === "completed" && prompt === "Ask the third",
    ),
  );
  return { parent: parent.session_id, failed: failed.session_id };
}

const VIEWS: readonly {
  readonly name: string;
  readonly path: (sessions: Sessions) => string;
  readonly shows: (page: Page) => Promise<unknown>;
}[] = [
  { name: "overview", path: () => "#/", shows: (page) => page.getByRole("region", { name: "Waiting" }).waitFor() },
  { name: "sessions", path: () => "#/sessions", shows: (page) => page.getByRole("listitem").first().waitFor() },
  {
    name: "session",
    path: ({ parent }) => `#/session/${parent}`,
    shows: (page) => page.getByText("1 of 3 done").waitFor(),
  },
  {
    name: "failed-session",
    path: ({ failed }) => `#/session/${failed}`,
    shows: (page) => page.locator(".session-head .failure").waitFor(),
  },
  { name: "runners", path: () => "#/runners", shows: (page) => page.getByText("Executor", { exact: true }).waitFor() },
  {
    name: "statistics",
    path: () => "#/statistics",
    shows: (page) => page.getByText("Runs ended", { exact: true }).waitFor(),
  },
];

test("the overview groups trees by need, with the reason for a failure or a wait", async () => {
  await sessions();
  await browser.visit(dashboard.api.url, async ({ page }) => {
    const group = (name: string) => page.getByRole("region", { name });
    await group("Needs attention").getByText("could not be applied").first().waitFor();
    // Shown only after a grace period: a runner might still claim the run.
    await group("Needs attention")
      .getByText(/No runner has claimed this run .* with tags gpu/)
      .waitFor();
    await group("Running").getByText("Refactor the billing module").waitFor();
    await group("Waiting").getByText("for 2 of 3 descendants").waitFor();
    await group("Waiting")
      .getByText(/scheduled for/)
      .waitFor();
    await group("Done").getByText("Summarise the reports of last night").waitFor();
    await group("Waiting")
      .getByRole("button", { name: /3 descendants/ })
      .click();
    await group("Waiting").getByText("Ask the third").last().waitFor();
  });
});

for (const theme of THEMES) {
  test(`every view is accessible in the ${theme} theme, and fits a desktop and a phone`, async () => {
    const at = await sessions();
    const checkViews = async (viewport: typeof DESKTOP | typeof PHONE, name: string): Promise<void> =>
      browser.visit(
        dashboard.api.url,
        async ({ page }) => {
          for (const view of VIEWS) await checkView(page, view, at, `${view.name}-${name}`, theme);
        },
        { theme, viewport },
      );
    await checkViews(DESKTOP, theme);
    await checkViews(PHONE, `phone-${theme}`);
  });
}

async function checkView(
  page: Page,
  view: (typeof VIEWS)[number],
  at: Sessions,
  picture: string,
  theme: Theme,
): Promise<void> {
  await page.goto(`${dashboard.api.url}/${view.path(at)}`);
  await view.shows(page);
  await keepPicture(page, picture);
  expect({ picture, theme, faults: await accessibilityFaults(page) }).toEqual({ picture, theme, faults: [] });
  expect({ picture, tooWide: await page.evaluate(() => document.documentElement.scrollWidth - innerWidth) }).toEqual({
    picture,
    tooWide: 0,
  });
}

test("the form for a new run is accessible", async () => {
  for (const theme of THEMES) {
    await browser.visit(
      dashboard.api.url,
      async ({ page }) => {
        await page.getByRole("button", { name: "Start a run" }).first().click();
        await page.getByRole("dialog").waitFor();
        await keepPicture(page, `start-${theme}`);
        expect(await accessibilityFaults(page)).toEqual([]);
        await page.keyboard.press("Escape");
        await page.getByRole("dialog").waitFor({ state: "detached" });
        expect(await page.evaluate(() => document.activeElement?.textContent?.trim())).toBe("Start a run");
      },
      { theme },
    );
  }
});

test("the output of a run is shown and followed", async () => {
  const { api, world } = dashboard;
  const { run_id, session_id } = await api.submit("!stderr 50B\n!wait output-go-on\nThe last words");
  await api.reached(run_id, "running");
  await browser.visit(pageOf(api, session_id), async ({ page }) => {
    await page.getByText("Output", { exact: true }).first().click();
    await page.getByRole("region", { name: "stderr" }).getByText(/x{20}/).waitFor();
    await Bun.write(world.path("output-go-on"), "");
    await page
      .getByRole("region", { name: "stdout" })
      .getByText(/The last words/)
      .waitFor();
  });
});
