import { copyFileSync, mkdirSync } from "node:fs";
import { basename, join } from "node:path";
import { binaryFile } from "../build.ts";
import packageJson from "../package.json" with { type: "json" };
import type { Step } from "./gate-step.ts";

const DEADLINE_MS = 60_000;

/** Steps that run the binary alone in an empty folder, without Bun and node_modules in reach. */
export function smokeSteps(scratch: string): (Omit<Step, "env"> & { env: Record<string, string> })[] {
  const folder = join(scratch, "alone");
  const program = join(folder, basename(binaryFile));
  const env: Record<string, string> = process.platform === "win32" ? {} : { PATH: "/usr/bin:/bin" };
  const smoke = (args: string[], expected: RegExp): Step => ({
    name: `binary alone: ${args.join(" ").replaceAll(scratch, "<tmp>")}`,
    command: [program, ...args],
    cwd: folder,
    env,
    deadlineMs: DEADLINE_MS,
    prepare: () => {
      mkdirSync(folder, { recursive: true });
      copyFileSync(binaryFile, program);
    },
    expected,
  });
  const sample = [
    "-x",
    "test-executor",
    "--port",
    "0",
    "--state-dir",
    join(scratch, "smoke-state"),
    "--sample",
    "--once",
  ];
  return [
    smoke(
      ["--version"],
      new RegExp(`${packageJson.version.replaceAll(".", "\\.")} \\((?:[0-9a-f]{12}(?:-dirty)?|unknown)\\)`),
    ),
    smoke(["--help"], /usage/i),
    smoke(["--executor-list"], /test-executor/),
    smoke(["up", ...sample], /sample run run_\w+ completed/),
  ];
}
