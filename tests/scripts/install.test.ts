import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tarGz } from "../../scripts/release/tar-archive.ts";
import { stubServer, type StubServer } from "../client/stub-server.ts";
import { tempFolder } from "../harness/temp-folder.ts";

const SCRIPT = join(import.meta.dir, "../../scripts/install.sh");
const isLinux = process.platform === "linux";

interface Setup extends AsyncDisposable {
  readonly home: string;
  readonly server: StubServer;
  /** Replaces a tool of the machine such as `uname`. */
  tool(name: string, script: string): void;
  install(args?: readonly string[], env?: Record<string, string>): Promise<{ code: number; out: string }>;
}

/** A release 1.2.3 on a file server. Its programs are scripts that print their platform. */
function setup(options: { damage?: boolean } = {}): Setup {
  const folder = tempFolder();
  const files = new Map<string, Uint8Array>();
  const sums: string[] = [];
  for (const platform of ["linux-x64", "linux-x64-musl", "linux-arm64", "darwin-arm64"]) {
    const program = Buffer.from(`#!/bin/sh\necho "agent-runner 1.2.3 for ${platform}"\n`);
    const name = `agent-runner-1.2.3-${platform}`;
    const archive = tarGz([{ path: `${name}/agent-runner`, content: program, isExecutable: true }], 0);
    sums.push(`${new Bun.CryptoHasher("sha256").update(archive).digest("hex")}  ${name}.tar.gz\n`);
    files.set(`/v1.2.3/${name}.tar.gz`, options.damage === true ? archive.subarray(1) : archive);
  }
  files.set("/v1.2.3/SHA256SUMS", Buffer.from(sums.join("")));
  const server = stubServer(({ url }) =>
    files.has(url) ? new Response(Buffer.from(files.get(url) ?? [])) : new Response("no", { status: 404 }),
  );
  const tools = join(folder.path, "tools");
  const home = join(folder.path, "home");
  mkdirSync(tools);
  mkdirSync(home);
  const setUp: Setup = {
    home,
    server,
    tool: (name, script) => writeFileSync(join(tools, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 }),
    async install(args = ["--version", "1.2.3"], env = {}) {
      const child = Bun.spawn(["sh", SCRIPT, ...args], {
        cwd: home,
        env: {
          HOME: home,
          PATH: `${tools}:/usr/local/bin:/usr/bin:/bin`,
          AGENT_RUNNER_RELEASES_URL: server.url,
          ...env,
        },
        stdout: "pipe",
        stderr: "pipe",
      });
      const out = (await new Response(child.stdout).text()) + (await new Response(child.stderr).text());
      return { code: await child.exited, out };
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
  setUp.tool("uname", '[ "$1" = -m ] && echo x86_64 || echo Linux');
  return setUp;
}

const has = (tool: string): boolean => Bun.which(tool) !== null;
const canInstall = isLinux && (has("curl") || has("wget")) && has("sha256sum");

test.if(canInstall)(
  "install.sh: downloads, checks and installs, and notes that the folder is not on PATH",
  async () => {
    await using setUp = setup();
    const { code, out } = await setUp.install();
    expect({ code, out }).toMatchObject({ code: 0 });
    expect(out).toContain("Installed agent-runner 1.2.3 for linux-x64 in ");
    expect(out).toContain("is not on your PATH");
    expect(readFileSync(join(setUp.home, ".local/bin/agent-runner"), "utf8")).toContain("linux-x64");
  },
);

test.if(canInstall)("install.sh: replaces an older program in the folder of --dir", async () => {
  await using setUp = setup();
  const dir = join(setUp.home, "my programs");
  mkdirSync(dir);
  writeFileSync(join(dir, "agent-runner"), "old");
  const { code } = await setUp.install(["--version", "v1.2.3", "--dir", dir]);
  expect(code).toBe(0);
  expect(readFileSync(join(dir, "agent-runner"), "utf8")).toContain("1.2.3");
  expect(existsSync(join(dir, ".agent-runner.new"))).toBe(false);
});

test.if(canInstall).each([
  ["an arm64 machine", "Linux", "aarch64", "linux-arm64"],
  ["a Mac", "Darwin", "arm64", "darwin-arm64"],
])("install.sh: %s gets its own archive", async (_, system, machine, platform) => {
  await using setUp = setup();
  setUp.tool("uname", `[ "$1" = -m ] && echo ${machine} || echo ${system}`);
  const { out } = await setUp.install();
  expect(setUp.server.received.at(-1)?.url).toBe(`/v1.2.3/agent-runner-1.2.3-${platform}.tar.gz`);
  expect(out).toContain(`for ${platform}`);
});

test.if(canInstall)("install.sh: refuses a changed download", async () => {
  await using setUp = setup({ damage: true });
  const { code, out } = await setUp.install();
  expect(code).toBe(1);
  expect(out).toContain("the download is damaged or has been changed");
  expect(existsSync(join(setUp.home, ".local/bin/agent-runner"))).toBe(false);
});

test.if(canInstall).each([
  [["--version", "9.9.9"], "cannot download"],
  [["--version"], "--version needs a value"],
  [["--frobnicate"], "unknown option: --frobnicate"],
  [[], "this copy is not from a release: use --version"],
])("install.sh %p fails and installs nothing", async (args, message) => {
  await using setUp = setup();
  const { code, out } = await setUp.install(args);
  expect(out).toContain(message);
  expect(code).toBe(1);
  expect(existsSync(join(setUp.home, ".local"))).toBe(false);
});

test.if(canInstall)("install.sh: names a system or processor without a release", async () => {
  await using setUp = setup();
  setUp.tool("uname", '[ "$1" = -m ] && echo riscv64 || echo Linux');
  expect((await setUp.install()).out).toContain("there is no release for the processor riscv64");
  setUp.tool("uname", '[ "$1" = -m ] && echo x86_64 || echo MINGW64_NT');
  expect((await setUp.install()).out).toContain("unpack the archive of the release by hand");
});

const PLAIN_TOOLS = [
  "sh",
  "tar",
  "gzip",
  "cut",
  "awk",
  "mktemp",
  "rm",
  "cp",
  "mv",
  "mkdir",
  "chmod",
  "ls",
  "sed",
  "cat",
];

test.if(canInstall && has("wget")).each([
  ["wget and sha256sum", ["wget", "sha256sum"], 0, "Installed agent-runner 1.2.3"],
  ["wget and shasum, as on a Mac", ["wget", "shasum"], 0, "Installed agent-runner 1.2.3"],
  ["no program for the download", ["sha256sum"], 1, "curl or wget is needed"],
  ["no program for the check", ["wget"], 1, "sha256sum or shasum is needed"],
])("install.sh: a machine with %s", async (_, tools, expected, message) => {
  await using setUp = setup();
  const bare = join(setUp.home, "bare");
  mkdirSync(bare);
  for (const tool of [...PLAIN_TOOLS, ...tools].filter((name) => name !== "shasum"))
    symlinkSync(Bun.which(tool) ?? "", join(bare, tool));
  setUp.tool("uname", '[ "$1" = -m ] && echo x86_64 || echo Linux');
  if (tools.includes("shasum")) setUp.tool("shasum", `[ "$1 $2" = "-a 256" ] && exec ${Bun.which("sha256sum")} "$3"`);
  const { code, out } = await setUp.install(["--version", "1.2.3"], {
    PATH: `${join(setUp.home, "..", "tools")}:${bare}`,
  });
  expect(out).toContain(message);
  if (expected === 1) expect(out.trim().split("\n")).toHaveLength(1);
  expect(code).toBe(expected);
  expect(existsSync(join(setUp.home, ".local/bin/agent-runner"))).toBe(expected === 0);
});

test.skipIf(Bun.which("shellcheck") === null)("install.sh: passes shellcheck", () => {
  const checked = Bun.spawnSync(["shellcheck", SCRIPT]);
  expect(checked.stdout.toString()).toBe("");
});
