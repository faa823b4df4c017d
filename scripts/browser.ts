// `bun run scripts/browser.ts` prints the path of the browser that the tests drive, and installs one first (Debian's Chromium, by apt) if there is none.
import { existsSync } from "node:fs";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
const PLACES = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
];
const WHAT_TO_DO = "Install Chromium or Google Chrome, or set CHROME_PATH to one: the tests of the dashboard drive it.";

/** The path of a Chromium: what `CHROME_PATH` says, else one on `PATH`, else one where its installer puts it. Undefined where there is none. */
export function findBrowser(env: Readonly<Record<string, string | undefined>> = process.env): string | undefined {
  const told = env["CHROME_PATH"];
  if (told) return existsSync(told) ? told : undefined;
  for (const name of NAMES) {
    const found = Bun.which(name, { PATH: env["PATH"] ?? "" });
    if (found !== null) return found;
  }
  return PLACES.find((place) => existsSync(place));
}

/** The path of a Chromium, for tests. Throws where there is none, saying what to do: a test that cannot look must not pass. */
export function browserForTests(): string {
  const found = findBrowser();
  if (found === undefined)
    throw new Error(
      `there is no browser: \`bun run scripts/browser.ts\` installs one where there is apt. Elsewhere: ${WHAT_TO_DO}`,
    );
  return found;
}

/** By apt, without the recommended packages: 90 MB to fetch. Throws with its words, or with what to do where there is no apt. */
async function install(): Promise<void> {
  if (process.env["CHROME_PATH"])
    throw new Error(`CHROME_PATH names ${process.env["CHROME_PATH"]}, which is not there`);
  if (Bun.which("apt-get") === null)
    throw new Error(`there is no browser, and no apt-get to install one. ${WHAT_TO_DO}`);
  process.stderr.write("[browser] installing chromium by apt-get\n");
  await apt(["update"]);
  // A font as well: without any the pictures would show boxes.
  await apt(["install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"]);
}

async function apt(args: readonly string[]): Promise<void> {
  const asRoot = process.getuid?.() === 0 ? [] : ["sudo", "-n"];
  const command = [...asRoot, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", ...args];
  if (asRoot.length > 0 && Bun.which("sudo") === null)
    throw new Error(`apt-get needs root, and there is no sudo. ${WHAT_TO_DO}`);
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [exitCode, out, err] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if (exitCode !== 0) throw new Error(`\`${command.join(" ")}\` failed. ${WHAT_TO_DO}\n${out}${err}`.trim());
}

if (import.meta.main) {
  if (findBrowser() === undefined) await install();
  process.stdout.write(`${browserForTests()}\n`);
}
