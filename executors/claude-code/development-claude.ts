import { join } from "node:path";

/** The version that the tests of this project run. */
const VERSION = "2.1.330";
const root = join(import.meta.dir, "..", "..");

/** Claude Code from the npm registry. Only for development and tests of this project. */
export interface DevelopmentClaude {
  /** `name@version` of the package for this platform. */
  readonly spec: string;
  /** The installation folder of this version. */
  readonly folder: string;
  /** The path of the installed program, about 380 MB. */
  readonly program: string;
}

/** Call only in development: the compiled binary has no folder of its own. */
export function developmentClaude(): DevelopmentClaude {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  const isMusl = process.platform === "linux" && header.glibcVersionRuntime === undefined;
  const name = `@anthropic-ai/claude-code-${process.platform}-${process.arch}${isMusl ? "-musl" : ""}`;
  const folder = join(root, ".tool", "claude-code", VERSION);
  const program = join(folder, "node_modules", name, process.platform === "win32" ? "claude.exe" : "claude");
  return { spec: `${name}@${VERSION}`, folder, program };
}
