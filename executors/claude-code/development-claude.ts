import { readFileSync } from "node:fs";
import { join } from "node:path";

const SDK = "@anthropic-ai/claude-agent-sdk";
const root = join(import.meta.dir, "..", "..");

/**
 * Claude Code from the npm registry, in the version of the Agent SDK. Only for development and tests of this project.
 */
export interface DevelopmentClaude {
  /** `name@version` of an optional dependency of the SDK. */
  readonly spec: string;
  /** The installation folder of this version. */
  readonly folder: string;
  /** The path of the installed program, about 380 MB. */
  readonly program: string;
}

/** Call only in development: the compiled binary has no package.json. */
export function developmentClaude(): DevelopmentClaude {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  const isMusl = process.platform === "linux" && header.glibcVersionRuntime === undefined;
  const name = `${SDK}-${process.platform}-${process.arch}${isMusl ? "-musl" : ""}`;
  const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    dependencies: { [SDK]: string };
  };
  const version = dependencies[SDK];
  const folder = join(root, ".tool", "claude-code", version);
  const program = join(folder, "node_modules", name, process.platform === "win32" ? "claude.exe" : "claude");
  return { spec: `${name}@${version}`, folder, program };
}
