// `node scripts/bun.mjs <arguments of bun>`: finds or fetches the Bun that package.json pins, installs what bun.lock names,
// and runs it. This is what makes `npm start` and `npm test` work on a machine that has only Node, or only some Bun; so it
// runs under Node >= 18 and under any Bun, has no dependency, and says what it does on stderr only.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runForeground } from "./foreground.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const windows = process.platform === "win32";
const program = windows ? "bun.exe" : "bun";
const toolFolder = join(root, ".tool");
const stampFile = join(root, "node_modules", ".installed");

try {
  const bun = findBun() ?? fetchBun();
  const env = environmentWith(bun);
  installDependencies(bun, env);
  process.exitCode = await runForeground(bun, process.argv.slice(2), { cwd: root, env });
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

function pinnedVersion() {
  const { packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const match = /^bun@(\d+\.\d+\.\d+[^+]*)/.exec(packageManager ?? "");
  if (match === null)
    throw new Error(`package.json: packageManager must pin a Bun (bun@1.2.3), it says ${packageManager}`);
  return match[1];
}

/** The path of a Bun of exactly the pinned version, or undefined. */
function findBun() {
  if (process.versions.bun === pinnedVersion()) return process.execPath;
  const onPath = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
  const candidates = [
    ...platformBuns(join(toolFolder, "node_modules")),
    ...platformBuns(join(root, "node_modules")),
    ...onPath.map((folder) => join(folder, program)),
  ];
  return candidates.find((path) => existsSync(path) && isPinned(path));
}

/**
 * The programs inside the platform packages of the npm package `bun`. Its own `.bin/bun` is only a stub where install scripts
 * are blocked. There may be several (glibc and musl, with and without AVX2): the one that runs here is right.
 */
function platformBuns(nodeModules) {
  const scope = join(nodeModules, "@oven");
  if (!existsSync(scope)) return [];
  return readdirSync(scope)
    .filter((name) => name.startsWith("bun-"))
    .map((name) => join(scope, name, "bin", program));
}

function isPinned(path) {
  const { status, stdout } = spawnSync(path, ["--version"], { encoding: "utf8", timeout: 20_000 });
  return status === 0 && stdout.trim() === pinnedVersion();
}

/** Puts the pinned Bun into `.tool` with npm, or with the Bun of another version that is running this. */
function fetchBun() {
  const wanted = `bun@${pinnedVersion()}`;
  say(`fetching ${wanted} into .tool`);
  mkdirSync(toolFolder, { recursive: true });
  // Without a package.json of its own the installers climb to the project's and would change that one.
  writeFileSync(join(toolFolder, "package.json"), '{ "private": true }\n');
  const npm = run(
    "npm",
    ["i", "--prefix", ".tool", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", wanted],
    { shell: windows },
  );
  const found = npm.ok ? findBun() : undefined;
  if (found !== undefined) return found;
  let reasons = npm.output;
  if (process.versions.bun !== undefined) {
    const bun = run(process.execPath, ["add", "--cwd", toolFolder, "--exact", "--ignore-scripts", wanted]);
    const foundByBun = bun.ok ? findBun() : undefined;
    if (foundByBun !== undefined) return foundByBun;
    reasons += `\n${bun.output}`;
  }
  throw new Error(
    `could not fetch ${wanted}, which this project is built with. Is the npm registry reachable?\n` +
      `Or install it yourself (https://bun.sh) and put it on PATH.\n${reasons.trim()}`,
  );
}

/** The environment for Bun and its children: this very Bun is the first on PATH. */
function environmentWith(bun) {
  // On Windows the variable may be spelled `Path`, and two spellings side by side leave it open which one counts.
  const name = Object.keys(process.env).find((key) => key.toUpperCase() === "PATH") ?? "PATH";
  return { ...process.env, [name]: [dirname(bun), process.env[name] ?? ""].filter(Boolean).join(delimiter) };
}

/** `bun install`, unless node_modules was made from this very bun.lock and package.json on this kind of machine. */
function installDependencies(bun, env) {
  const hash = createHash("sha256").update(`${process.platform} ${process.arch}\n`);
  for (const name of ["bun.lock", "package.json"]) hash.update(readFileSync(join(root, name)));
  const stamp = hash.digest("hex");
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return;
  say("installing dependencies");
  const { ok, output } = run(bun, ["install", "--frozen-lockfile"], { env });
  if (!ok) throw new Error(`bun install --frozen-lockfile failed:\n${output}`);
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, stamp);
}

function run(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: root, encoding: "utf8", ...options });
  return { ok: status === 0, output: error === undefined ? `${stdout}${stderr}` : `${command}: ${error.message}` };
}

function say(message) {
  process.stderr.write(`[bun.mjs] ${message}\n`);
}
