// `bun run scripts/browser.ts` prints the path of a browser for the tests. Without one it installs Debian's Chromium by
// apt.
import { existsSync } from "node:fs";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
const PLACES = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
];
const HINT = "Install Chromium or Google Chrome, or set CHROME_PATH to one: the tests of the dashboard drive it.";

/** The path of a Chromium: `CHROME_PATH`, else on `PATH`, else in the installer's place. Undefined without one. */
export function findBrowser(env: Readonly<Record<string, string | undefined>> = process.env): string | undefined {
  const configured = env["CHROME_PATH"];
  if (configured) return existsSync(configured) ? configured : undefined;
  for (const name of NAMES) {
    const found = Bun.which(name, { PATH: env["PATH"] ?? "" });
    if (found !== null) return found;
  }
  return PLACES.find((place) => existsSync(place));
}

/** The path of a Chromium, for tests. Throws without one: a test without a browser must not pass. */
export function browserForTests(): string {
  const found = findBrowser();
  if (found === undefined)
    throw new Error(`There is no browser. \`bun run scripts/browser.ts\` installs one by apt. Without apt: ${HINT}`);
  return found;
}

/** Installs Chromium by apt, a download of 90 MB. Throws with apt's output, or with a hint if there is no apt. */
async function install(): Promise<void> {
  if (process.env["CHROME_PATH"])
    throw new Error(`CHROME_PATH names ${process.env["CHROME_PATH"]}, which does not exist`);
  if (Bun.which("apt-get") === null) throw new Error(`There is no browser, and no apt-get to install one. ${HINT}`);
  process.stderr.write("[browser] Installing chromium by apt-get\n");
  await apt(["update"]);
  // Adds a font: without one the pictures show boxes.
  await apt(["install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"]);
}

async function apt(args: readonly string[]): Promise<void> {
  const asRoot = process.getuid?.() === 0 ? [] : ["sudo", "-n"];
  const command = [...asRoot, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", ...args];
  if (asRoot.length > 0 && Bun.which("sudo") === null)
    throw new Error(`apt-get needs root, and there is no sudo. ${HINT}`);
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [exitCode, out, err] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if (exitCode !== 0) throw new Error(`\`${command.join(" ")}\` failed. ${HINT}\n${out}${err}`.trim());
}

if (import.meta.main) {
  if (findBrowser() === undefined) await install();
  process.stdout.write(`${browserForTests()}\n`);
}
