// `bun run release` makes a release in dist/release: an archive for each platform, SHA256SUMS, an SBOM, install.sh.
//   --trial              Accept a tree with changes and a missing section in the CHANGELOG
//   --only A,B           Make these platforms only (linux-x64, ...)
//   --releases-url URL   Let install.sh download from URL
//   --verify             Make everything twice and fail if two files differ in a byte
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildBinary } from "../build.ts";
import packageJson from "../package.json" with { type: "json" };
import { bundledPackages } from "./release/bundled-packages.ts";
import { changelogFault } from "./release/changelog.ts";
import { cycloneDx } from "./release/sbom.ts";
import { tarGz } from "./release/tar-archive.ts";
import { textEntries } from "./release/text-entries.ts";
import { zip } from "./release/zip-archive.ts";

/**
 * The compiler's target for each platform. x64 uses the baseline runtime, which needs SSE4.2 but no AVX2: one archive
 * serves all processors. In Bun 1.4 both runtimes are the same bytes.
 */
const PLATFORMS: Readonly<Record<string, string>> = {
  "linux-x64": "bun-linux-x64-baseline",
  "linux-x64-musl": "bun-linux-x64-musl-baseline",
  "linux-arm64": "bun-linux-arm64",
  "linux-arm64-musl": "bun-linux-arm64-musl",
  "darwin-x64": "bun-darwin-x64",
  "darwin-arm64": "bun-darwin-arm64",
  "windows-x64": "bun-windows-x64-baseline",
  "windows-arm64": "bun-windows-arm64",
};

const root = join(import.meta.dir, "..");
const { version, packageManager } = packageJson;
const bunVersion = packageManager.replace("bun@", "");

const { values: flags } = parseArgs({
  options: {
    trial: { type: "boolean" },
    verify: { type: "boolean" },
    only: { type: "string" },
    "releases-url": { type: "string" },
  },
});

const faults = flags.trial === true ? [] : releaseFaults();
if (faults.length > 0) {
  console.error(`Cannot release ${version}:\n  ${faults.join("\n  ")}\n(--trial makes one all the same)`);
  process.exit(1);
}
const out = join(root, "dist", "release");
const made = await makeRelease(out);
if (flags.verify === true) {
  const again = await makeRelease(join(root, "dist", "release-again"));
  const differing = made.flatMap(({ name, sha256 }, i) => (again[i]?.sha256 === sha256 ? [] : [name]));
  rmSync(join(root, "dist", "release-again"), { recursive: true });
  console.log(
    differing.length === 0
      ? `${made.length} files are the same in both builds`
      : `These differ between two builds: ${differing.join(", ")}`,
  );
  if (differing.length > 0) process.exit(1);
}
console.log(`Made in ${out}:\n${readFileSync(join(out, "SHA256SUMS"), "utf8").trimEnd()}`);

function releaseFaults(): string[] {
  const status = git("status", "--porcelain");
  const changelog = changelogFault(readFileSync(join(root, "CHANGELOG.md"), "utf8"), version);
  return [
    ...(status === "" ? [] : ["the tree has changes that are not committed"]),
    ...(changelog === null ? [] : [changelog]),
  ];
}

interface Made {
  readonly name: string;
  readonly sha256: string;
}

async function makeRelease(folder: string): Promise<Made[]> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const mtimeSeconds = Number(git("log", "-1", "--format=%ct"));
  const packages = bundledPackages(root);
  const texts = await textEntries({ root, version, bunVersion, packages });
  const only = flags.only?.split(",") ?? Object.keys(PLATFORMS);
  const files: Made[] = [];
  const put = (name: string, content: Uint8Array): void => {
    writeFileSync(join(folder, name), content);
    files.push({ name, sha256: new Bun.CryptoHasher("sha256").update(content).digest("hex") });
  };
  let commit = "";
  for (const platform of only) {
    const target = PLATFORMS[platform];
    if (target === undefined)
      throw new Error(`There is no platform ${platform}; there are ${Object.keys(PLATFORMS).join(", ")}`);
    const isWindows = platform.startsWith("windows");
    const program = isWindows ? "agent-runner.exe" : "agent-runner";
    const outfile = join(folder, "build", program);
    const built = await buildBinary({ outfile, target });
    commit = built.commit;
    const name = `agent-runner-${version}-${platform}`;
    const entries = [{ path: program, content: readFileSync(outfile), isExecutable: true }, ...texts].map((entry) => ({
      ...entry,
      path: `${name}/${entry.path}`,
    }));
    put(
      `${name}.${isWindows ? "zip" : "tar.gz"}`,
      isWindows ? zip(entries, mtimeSeconds) : tarGz(entries, mtimeSeconds),
    );
    const packedBytes = Bun.file(join(folder, files.at(-1)?.name ?? "")).size;
    console.log(`${name}: ${inMebibytes(built.bytes)}, packed ${inMebibytes(packedBytes)}`);
  }
  rmSync(join(folder, "build"), { recursive: true, force: true });
  put(
    `agent-runner-${version}.cdx.json`,
    Buffer.from(cycloneDx({ version, commit, bunVersion, mtimeSeconds, packages })),
  );
  const installer = readFileSync(join(root, "scripts", "install.sh"), "utf8").replace("@VERSION@", version);
  put("install.sh", Buffer.from(installer.replace("@RELEASES_URL@", flags["releases-url"] ?? "@RELEASES_URL@")));
  writeFileSync(join(folder, "SHA256SUMS"), files.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join(""));
  return files;
}

function inMebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

function git(...args: string[]): string {
  const { success, stdout, stderr } = Bun.spawnSync(["git", ...args], { cwd: root });
  if (!success) throw new Error(`git ${args.join(" ")}: ${stderr.toString().trim()}`);
  return stdout.toString().trim();
}
