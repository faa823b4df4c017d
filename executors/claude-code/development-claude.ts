import { readFileSync } from "node:fs";
import { join } from "node:path";

const SDK = "@anthropic-ai/claude-agent-sdk";
const root = join(import.meta.dir, "..", "..");

/** Claude Code from the npm registry, of the version that the Agent SDK was made for: for development and tests of this project only. */
export interface DevelopmentClaude {
  /** `name@version`: one of the SDK's own optional dependencies. */
  readonly spec: string;
  /** Where it is installed to, a folder of its version alone. */
  readonly folder: string;
  /** Where its program is, once it is installed; about 380 MB. */
  readonly program: string;
}

/** To be called in development only: the binary has no package.json to read. */
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
