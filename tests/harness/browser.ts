import { afterAll, beforeAll } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { AxeResults } from "axe-core";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { browserForTests } from "../../scripts/browser.ts";
import { tempFolder } from "./temp-folder.ts";
import { WAIT_MS } from "./until.ts";
import { GATE_MARK } from "./gate-mark.ts";

const LAUNCH_MS = 60_000;
const ARGUMENTS = [
  // The tests run as root in containers, and show only the project's own pages.
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export const DESKTOP = { width: 1280, height: 900 };
export const PHONE = { width: 390, height: 844 };
export type Theme = "light" | "dark";
export const THEMES: readonly Theme[] = ["light", "dark"];

export interface TabOptions {
  readonly viewport?: { readonly width: number; readonly height: number };
  readonly theme?: Theme;
  /** Permissions of the page, such as `clipboard-write`. */
  readonly permissions?: readonly string[];
}

/** A page in its own profile, with all its faults. */
export class Tab {
  readonly #faults: string[] = [];
  readonly #expected: RegExp[] = [];

  constructor(
    readonly page: Page,
    readonly url: string,
  ) {
    this.#watch();
  }

  /** Ignores matching faults: a test that shuts the coordinator down sees refused connections. */
  expect(fault: RegExp): void {
    this.#expected.push(fault);
  }

  /** The unexpected faults so far. */
  get faults(): readonly string[] {
    return this.#faults.filter((fault) => !this.#expected.some((pattern) => pattern.test(fault)));
  }

  #watch(): void {
    const { page } = this;
    const { origin } = new URL(this.url);
    page.on("pageerror", (error) => this.#faults.push(`uncaught: ${error.stack ?? error.message}`));
    page.on("crash", () => this.#faults.push("the page has crashed"));
    page.on("console", (message) => {
      if (message.type() === "error") this.#faults.push(`console: ${message.text()} (${message.location().url})`);
    });
    page.on("dialog", (dialog) => {
      this.#faults.push(`${dialog.type()}: ${dialog.message()}`);
      dialog.dismiss().catch(() => {});
    });
    page.on("popup", (other) => this.#faults.push(`a window was opened: ${other.url()}`));
    page.on("request", (request) => {
      if (!isOfPage(request.url(), origin)) this.#faults.push(`a request to ${request.url()}`);
    });
  }
}

function isOfPage(url: string, origin: string): boolean {
  return url.startsWith(`${origin}/`) || url.startsWith("data:") || url.startsWith("blob:");
}

export interface SharedBrowser {
  /**
   * Opens a page, and closes it when `body` has ended. Throws for every fault: uncaught errors, errors on the console
   * (among them violations of the content security policy), dialogs, other windows, and requests to other origins.
   */
  visit(url: string, body: (tab: Tab) => Promise<void>, options?: TabOptions): Promise<void>;
}

/** One browser with a temporary profile for all tests of a file. Each visit has its own cookies and storage. */
export function sharedBrowser(): SharedBrowser {
  let browser: Browser | undefined;
  let home: ReturnType<typeof tempFolder> | undefined;
  beforeAll(async () => {
    home = tempFolder();
    const env = { ...GATE_MARK, PATH: process.env["PATH"] ?? "", HOME: home.path, LANG: "C.UTF-8" };
    browser = await chromium.launch({ executablePath: browserForTests(), args: ARGUMENTS, env, timeout: LAUNCH_MS });
  }, LAUNCH_MS);
  afterAll(async () => {
    await browser?.close();
    home?.[Symbol.dispose]();
  });
  return {
    async visit(url, body, options = {}) {
      if (browser === undefined) throw new Error("the browser exists only while tests run");
      const context = await browser.newContext(contextOptions(options));
      try {
        context.setDefaultTimeout(WAIT_MS);
        await visit(new Tab(await context.newPage(), url), body);
      } finally {
        await context.close();
      }
    },
  };
}

function contextOptions({ viewport = DESKTOP, theme = "light", permissions = [] }: TabOptions): BrowserContextOptions {
  return {
    viewport: { ...viewport },
    colorScheme: theme,
    reducedMotion: "reduce",
    permissions: [...permissions],
    locale: "en-GB",
    timezoneId: "UTC",
  };
}

/** Not a disposable: `bun test` would show neither of two errors, the test's and the page's. */
async function visit(tab: Tab, body: (tab: Tab) => Promise<void>): Promise<void> {
  try {
    await tab.page.goto(tab.url);
    await body(tab);
  } catch (error) {
    await keepPicture(tab.page, `failed-${++failures}`);
    for (const fault of tab.faults) console.error(`the page: ${fault}`);
    throw error;
  }
  if (tab.faults.length > 0) throw new Error(`the page went wrong:\n${tab.faults.join("\n")}`);
}

let failures = 0;

/** The absolute path of the folder for screenshots. Without `DASHBOARD_PICTURES` no screenshot is taken. */
const PICTURES = process.env["DASHBOARD_PICTURES"];

/** Takes a screenshot of the page for people. */
export async function keepPicture(page: Page, name: string): Promise<void> {
  if (!PICTURES) return;
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: join(PICTURES, `${name}.png`) });
}

const AXE = readFileSync(join(import.meta.dir, "../../node_modules/axe-core/axe.min.js"), "utf8");

/** The accessibility rules that the page breaks, with the elements at fault. */
export async function accessibilityFaults(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate<AxeResults>("axe.run(document, { resultTypes: ['violations'] })");
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id} (${help}): ${html}\n${failureSummary ?? ""}`),
  );
}
