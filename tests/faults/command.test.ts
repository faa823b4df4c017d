import { expect, test } from "bun:test";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { tempFolder } from "../harness/temp-folder.ts";
import { until } from "../harness/until.ts";
import { TRIALS } from "./trials.ts";

const SCRIPT = resolve(import.meta.dir, "../../scripts/faults.ts");
const INTERRUPT_MS = 60_000;

function start(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Bun.Subprocess<"ignore", "pipe", "pipe"> {
  return Bun.spawn([process.execPath, SCRIPT, ...args], {
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

async function run(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = start(args);
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}

test("faults --help names every trial", async () => {
  const { code, stdout } = await run(["--help"]);
  expect(code).toBe(0);
  for (const { name, fault } of TRIALS)
    expect(stdout).toMatch(new RegExp(`^  ${name} +${fault.replaceAll(/[.()+]/g, "\\$&")}$`, "m"));
});

test.each([
  [["--only", "floods"], 'There is no trial "floods"'],
  [["--seed", "many"], '--seed: "many" is not a whole number'],
  [["--fast"], "Unknown option '--fast'"],
])("faults refuses %p, points to --help and tries nothing", async (args, why) => {
  const { code, stdout, stderr } = await run(args);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toStartWith(why);
  expect(stderr).toEndWith("See bun run faults --help\n");
});

test.skipIf(process.platform !== "linux")(
  "faults ends everything that it started when interrupted",
  async () => {
    using folder = tempFolder();
    const child = start(["--quick", "--only", "kills-under-stream"], { TMPDIR: folder.path });
    await until(
      "an executor to start",
      () => worldsIn(folder.path).some((world) => hasStarted(join(folder.path, world, "project", "ledger"))),
      INTERRUPT_MS,
    );
    expect(processesIn(folder.path).length).toBeGreaterThan(2);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(130);
    expect(processesIn(folder.path)).toEqual([]);
    expect(worldsIn(folder.path)).toEqual([]);
  },
  { timeout: INTERRUPT_MS + 30_000 },
);

function worldsIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.startsWith("agent-runner-test-"));
}

function hasStarted(ledger: string): boolean {
  try {
    return readFileSync(ledger, "utf8").includes("begin ");
  } catch {
    return false;
  }
}

/** Processes with a working folder below `folder`, even if that working folder is removed. */
function processesIn(folder: string): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => {
      try {
        return Number.isInteger(pid) && readlinkSync(`/proc/${pid}/cwd`).startsWith(`${folder}/`);
      } catch {
        return false;
      }
    });
}
