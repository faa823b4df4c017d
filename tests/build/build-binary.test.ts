import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildBinary, type Built } from "../../build.ts";
import packageJson from "../../package.json" with { type: "json" };
import { tempFolder } from "../harness/temp-folder.ts";

const BUILD_DEADLINE_MS = 120_000;
const program = join(import.meta.dir, "fixtures", "prints-environment.ts");
const output = tempFolder();
let built: Built;

beforeAll(async () => {
  const name = process.platform === "win32" ? "program.exe" : "program";
  built = await buildBinary({ outfile: join(output.path, name), entrypoint: program });
}, BUILD_DEADLINE_MS);

afterAll(() => output[Symbol.dispose]());

/** A folder like a malicious repository: its files run code in a program that reads them, and change its settings. */
function hostileFolder(): { path: string; ranCode: () => boolean } & Disposable {
  const folder = tempFolder();
  const put = (name: string, text: string): void => writeFileSync(join(folder.path, name), text);
  put("bunfig.toml", 'preload = ["./preload.ts"]\n');
  put("preload.ts", 'import { writeFileSync } from "node:fs";\nwriteFileSync(`${import.meta.dir}/marker`, "");\n');
  for (const name of [".env", ".env.local", ".env.production"]) {
    put(name, "AGENT_ORCHESTRATOR_API_URL=http://attacker.invalid\nMADE_UP_SETTING=hostile\n");
  }
  return {
    ...folder,
    ranCode: () => existsSync(join(folder.path, "marker")),
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

async function printed(command: string[], cwd: string): Promise<Record<string, unknown>> {
  const { AGENT_ORCHESTRATOR_API_URL: _, NODE_ENV: __, ...env } = process.env;
  const child = Bun.spawn(command, { cwd, env, stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const [exitCode, text] = await Promise.all([child.exited, new Response(child.stdout).text()]);
  expect(exitCode).toBe(0);
  return JSON.parse(text);
}

test("buildBinary puts version and commit into the program", async () => {
  const { version, commit } = await printed([built.file], output.path);
  expect(version).toBe(packageJson.version);
  expect(commit).toMatch(/^(?:[0-9a-f]{12}(?:-dirty)?|unknown)$/);
  expect(commit).toBe(built.commit);
});

test(
  "buildBinary: the same sources give the same bytes, in another folder, too",
  async () => {
    const again = await buildBinary({ outfile: join(output.path, "again", "program"), entrypoint: program });
    expect(Buffer.from(await Bun.file(again.file).bytes()).equals(await Bun.file(built.file).bytes())).toBe(true);
  },
  BUILD_DEADLINE_MS,
);

test("a program that is not built has the commit `development`", async () => {
  const { version, commit } = await printed([process.execPath, "--no-env-file", program], output.path);
  expect(version).toBe(packageJson.version);
  expect(commit).toBe("development");
});

test("buildBinary: the program neither runs nor reads files of its working folder", async () => {
  using folder = hostileFolder();
  const seen = await printed([built.file], folder.path);
  expect(folder.ranCode()).toBe(false);
  expect(seen).toMatchObject({ AGENT_ORCHESTRATOR_API_URL: null, MADE_UP_SETTING: null, NODE_ENV: "production" });
});

test("plain Bun runs the code of the hostile folder and reads its settings", async () => {
  using folder = hostileFolder();
  const seen = await printed([process.execPath, program], folder.path);
  expect(folder.ranCode()).toBe(true);
  expect(seen).toMatchObject({ AGENT_ORCHESTRATOR_API_URL: "http://attacker.invalid", MADE_UP_SETTING: "hostile" });
});

test(
  "buildBinary: a syntax error rejects with the bundler's output and removes the old program",
  async () => {
    using folder = tempFolder();
    const entrypoint = join(folder.path, "broken.ts");
    const outfile = join(folder.path, "broken");
    writeFileSync(entrypoint, "const = 1;\n");
    writeFileSync(outfile, "an earlier build");
    await expect(buildBinary({ outfile, entrypoint })).rejects.toThrow(/broken\.ts/);
    expect(existsSync(outfile)).toBe(false);
  },
  BUILD_DEADLINE_MS,
);
