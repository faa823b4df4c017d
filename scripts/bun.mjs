// `node scripts/bun.mjs <arguments of bun>` finds or fetches the Bun that package.json pins, installs the dependencies
// of bun.lock, and runs that Bun. It makes `npm start` and `npm test` work on a machine with only Node, or with another
// Bun. So it runs under Node >= 18 and under any Bun, has no dependency, and writes its messages to stderr only.
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
  if (match === null) throw new Error(`package.json: packageManager must pin a Bun (bun@1.2.3), not ${packageManager}`);
  return match[1];
}

/** The path of a Bun of exactly the pinned version; undefined without one. */
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
 * The programs in the platform packages of the npm package `bun`. Its own `.bin/bun` is a stub if install scripts are
 * blocked. There can be several (glibc and musl, with and without AVX2); one of them runs here.
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

/** Installs the pinned Bun into `.tool` with npm, or with the running Bun of another version. */
function fetchBun() {
  const spec = `bun@${pinnedVersion()}`;
  say(`Fetching ${spec} into .tool`);
  mkdirSync(toolFolder, { recursive: true });
  // A package.json of its own keeps the installers from changing the project's.
  writeFileSync(join(toolFolder, "package.json"), '{ "private": true }\n');
  const npm = run("npm", ["i", "--prefix", ".tool", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", spec], {
    shell: windows,
  });
  const found = npm.ok ? findBun() : undefined;
  if (found !== undefined) return found;
  let reasons = npm.output;
  if (process.versions.bun !== undefined) {
    const bun = run(process.execPath, ["add", "--cwd", toolFolder, "--exact", "--ignore-scripts", spec]);
    const foundByBun = bun.ok ? findBun() : undefined;
    if (foundByBun !== undefined) return foundByBun;
    reasons += `\n${bun.output}`;
  }
  throw new Error(
    `Cannot fetch ${spec}, which builds this project. Is the npm registry reachable?\n` +
      `Or install it yourself (https://bun.sh) and put it on PATH.\n${reasons.trim()}`,
  );
}

/** The environment for Bun and its children, with this Bun first on PATH. */
function environmentWith(bun) {
  // Windows may spell the variable `Path`, and with two spellings it is undefined which one counts.
  const name = Object.keys(process.env).find((key) => key.toUpperCase() === "PATH") ?? "PATH";
  return { ...process.env, [name]: [dirname(bun), process.env[name] ?? ""].filter(Boolean).join(delimiter) };
}

/** Runs `bun install`, unless node_modules matches bun.lock, package.json and this kind of machine. */
function installDependencies(bun, env) {
  const hash = createHash("sha256").update(`${process.platform} ${process.arch}\n`);
  for (const name of ["bun.lock", "package.json"]) hash.update(readFileSync(join(root, name)));
  const stamp = hash.digest("hex");
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return;
  say("Installing dependencies");
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
