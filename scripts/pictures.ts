// `bun run scripts/pictures.ts` makes the README's pictures of the dashboard, docs/pictures/dashboard-{light,dark}.png.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { binaryFile, buildForThisMachine, isUpToDate } from "../build.ts";
import { browserForTests } from "./browser.ts";
import { PictureWorld, SHOWN_TREE } from "./pictures/world.ts";

const FOLDER = join(import.meta.dir, "../docs/pictures");
/** Ends between the last card and the page's foot. */
const VIEWPORT = { width: 1280, height: 788 };
const THEMES = ["light", "dark"] as const;

interface Coordinator extends AsyncDisposable {
  readonly url: string;
}

async function startCoordinator(home: string): Promise<Coordinator> {
  const child = Bun.spawn([binaryFile, "coordinator", "--port", "0", "--state-dir", home], {
    cwd: home,
    env: { PATH: process.env["PATH"] ?? "", HOME: home },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await child.exited;
  };
  let output = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    output += decoder.decode(chunk, { stream: true });
    const [, url] = /agent-runner -c (\S+)\s/.exec(output) ?? [];
    if (url !== undefined) return { url, [Symbol.asyncDispose]: stop };
  }
  throw new Error(`the coordinator did not start: ${output}`);
}

async function takePictures(url: string, home: string): Promise<void> {
  const env = { PATH: process.env["PATH"] ?? "", HOME: home, LANG: "C.UTF-8" };
  const browser = await chromium.launch({ executablePath: browserForTests(), args: ["--no-sandbox"], env });
  try {
    for (const theme of THEMES) {
      const options = { viewport: VIEWPORT, colorScheme: theme, locale: "en-GB", timezoneId: "UTC" } as const;
      const page = await browser.newPage({ ...options, reducedMotion: "reduce" });
      await page.goto(url);
      const card = page.getByRole("listitem").filter({ hasText: SHOWN_TREE }).first();
      await card.getByRole("button", { name: /descendants/ }).click();
      await card.getByRole("list").waitFor();
      // Moves the focus ring and the pointer out of the picture.
      await page.evaluate("document.activeElement?.blur()");
      await page.mouse.move(VIEWPORT.width - 1, VIEWPORT.height - 1);
      await page.screenshot({ path: join(FOLDER, `dashboard-${theme}.png`) });
      await page.close();
    }
  } finally {
    await browser.close();
  }
}

if (import.meta.main) {
  if (!isUpToDate()) await buildForThisMachine();
  const home = mkdtempSync(join(tmpdir(), "agent-runner-pictures-"));
  try {
    const world = new PictureWorld();
    {
      await using coordinator = await startCoordinator(home);
      await world.create(coordinator.url);
    }
    world.backdate(join(home, "coordinator.sqlite"));
    mkdirSync(FOLDER, { recursive: true });
    await using coordinator = await startCoordinator(home);
    await takePictures(coordinator.url, home);
  } finally {
    rmSync(home, { recursive: true, force: true, maxRetries: 3 });
  }
}
