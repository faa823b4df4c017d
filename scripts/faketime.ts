// `bun run scripts/faketime.ts` prints the path of libfaketime for the trial of clocks that jump. Without it, installs
// Debian's package by apt where that is possible. Never fails: the trial says that it was not tried.
import { existsSync } from "node:fs";

const NAME = "faketime/libfaketimeMT.so.1";
const FOLDERS = [
  "/usr/lib/x86_64-linux-gnu",
  "/usr/lib/aarch64-linux-gnu",
  "/usr/lib64",
  "/usr/lib",
  "/usr/local/lib",
] as const;

/** The library that shows a process another time; undefined without one. */
export function findFaketime(): string | undefined {
  if (process.platform !== "linux") return undefined;
  return FOLDERS.map((folder) => `${folder}/${NAME}`).find((path) => existsSync(path));
}

async function install(): Promise<void> {
  if (process.platform !== "linux" || Bun.which("apt-get") === null) return;
  const asRoot = process.getuid?.() === 0 ? [] : ["sudo", "-n"];
  if (asRoot.length > 0 && Bun.which("sudo") === null) return;
  process.stderr.write("[faketime] Installing faketime by apt-get\n");
  for (const args of [["update"], ["install", "-y", "--no-install-recommends", "faketime"]]) {
    const child = Bun.spawn([...asRoot, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", ...args], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "inherit",
    });
    if ((await child.exited) !== 0) return;
  }
}

if (import.meta.main) {
  if (findFaketime() === undefined) await install();
  process.stdout.write(`${findFaketime() ?? "no libfaketime: the trial of clocks is not tried"}\n`);
}
