// `bun run build.ts` builds dist/agent-runner for this machine. buildBinary builds other targets and entry points.
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import packageJson from "./package.json" with { type: "json" };

const root = import.meta.dir;
const inputsFile = join(root, "dist", ".inputs");

/** The binary for this machine. */
export const binaryFile = join(root, "dist", process.platform === "win32" ? "agent-runner.exe" : "agent-runner");

export interface BuildOptions {
  /** An absolute path. Its folder is made if it is missing. */
  readonly outfile: string;
  /** `bun-linux-arm64`, `bun-darwin-arm64`, `bun-windows-x64`, ...; this machine by default. */
  readonly target?: string;
  /** `src/main.ts` by default. */
  readonly entrypoint?: string;
}

export interface Built {
  readonly file: string;
  readonly bytes: number;
  readonly ms: number;
  readonly version: string;
  readonly commit: string;
}

/** Compiles one executable. Throws with the bundler's output if it fails or generates no bytecode. */
export async function buildBinary(options: BuildOptions): Promise<Built> {
  const begun = performance.now();
  const { version } = packageJson;
  const commit = commitOfTree();
  mkdirSync(dirname(options.outfile), { recursive: true });
  // Removes the old program: it must not pass for the new one, and a running one cannot be overwritten.
  rmSync(options.outfile, { force: true });
  // Uses the command, not Bun.build(), to see stderr: a failure to generate bytecode is a line there, with exit code 0.
  const bundler = Bun.spawn([process.execPath, "build", ...buildArguments(options, { version, commit })], {
    cwd: root,
    stdout: "pipe",
    stderr: "pipe",
  });
  const [exitCode, out, err] = await Promise.all([
    bundler.exited,
    new Response(bundler.stdout).text(),
    new Response(bundler.stderr).text(),
  ]);
  const output = `${out}${err}`;
  if (exitCode !== 0 || /^error:|failed to generate bytecode/im.test(output)) {
    rmSync(options.outfile, { force: true });
    throw new Error(`Building ${options.outfile} failed (exit code ${exitCode}):\n${output.trim()}`);
  }
  const { size } = statSync(options.outfile);
  return { file: options.outfile, bytes: size, ms: performance.now() - begun, version, commit };
}

/** Builds `binaryFile` and records the hash of its sources. */
export async function buildForThisMachine(): Promise<Built> {
  const inputs = hashOfInputs();
  rmSync(inputsFile, { force: true });
  const built = await buildBinary({ outfile: binaryFile });
  writeFileSync(inputsFile, inputs);
  return built;
}

/** Whether `binaryFile` was built from the present sources. */
export function isUpToDate(): boolean {
  try {
    return statSync(binaryFile).isFile() && readFileSync(inputsFile, "utf8") === hashOfInputs();
  } catch {
    return false;
  }
}

export function describeBuild({ file, bytes, ms, version, commit }: Built): string {
  const size = `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  return `Built ${file} (${version}, commit ${commit}): ${size} in ${(ms / 1000).toFixed(2)} s`;
}

function buildArguments(options: BuildOptions, { version, commit }: { version: string; commit: string }): string[] {
  return [
    "--compile",
    "--minify",
    // Bytecode halves the start-up time. It needs this format.
    "--bytecode",
    "--format=esm",
    // Loads a part with import() on use. In one piece, each start would load the part's own imports.
    "--splitting",
    // Ignores the files of the folder that a runner starts in: they must neither run in this program nor configure it.
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    "--no-compile-autoload-tsconfig",
    "--no-compile-autoload-package-json",
    "--define",
    'process.env.NODE_ENV="production"',
    "--define",
    `BUILD_VERSION=${JSON.stringify(version)}`,
    "--define",
    `BUILD_COMMIT=${JSON.stringify(commit)}`,
    ...(options.target === undefined ? [] : [`--target=${options.target}`]),
    `--outfile=${options.outfile}`,
    options.entrypoint ?? join(root, "src", "main.ts"),
  ];
}

function commitOfTree(): string {
  // A copy without .git inside another project's checkout must not get that project's commit.
  if (git("rev-parse", "--show-prefix") !== "") return "unknown";
  const commit = git("rev-parse", "--short=12", "HEAD");
  if (commit === undefined) return "unknown";
  return git("status", "--porcelain") === "" ? commit : `${commit}-dirty`;
}

function git(...args: string[]): string | undefined {
  try {
    const { success, stdout } = Bun.spawnSync(["git", ...args], { cwd: root, stderr: "ignore" });
    return success ? stdout.toString().trim() : undefined;
  } catch {
    return undefined;
  }
}

function hashOfInputs(): string {
  const trees = [...new Bun.Glob("{src,executors}/**").scanSync({ cwd: root })].sort();
  const hash = new Bun.CryptoHasher("sha256");
  for (const name of ["package.json", "bun.lock", "tsconfig.json", "build.ts", ...trees]) {
    hash
      .update(`${name}\0`)
      .update(readFileSync(join(root, name)))
      .update("\0");
  }
  return hash.digest("hex");
}

if (import.meta.main) {
  process.stdout.write(`${describeBuild(await buildForThisMachine())}\n`);
}
