import { checkNeeds as checkClaudeCode } from "../../executors/claude-code/readiness.ts";
import { UserError } from "../errors.ts";
import type { CatalogOptions, Executor, Readiness } from "./executor.ts";

interface BuiltIn {
  /** Runs it in this process; resolves to the exit code. Loaded only when it is run, so that it costs no start-up time. */
  readonly load: () => Promise<(argv: readonly string[]) => Promise<number>>;
  /** What it needs on this machine beyond this program. */
  readonly checkNeeds?: (options: CatalogOptions) => Readiness;
}

const BUILT_IN: ReadonlyMap<string, BuiltIn> = new Map<string, BuiltIn>([
  [
    "claude-code",
    {
      load: async () => (await import("../../executors/claude-code/ao-claude-code-exec.ts")).main,
      checkNeeds: ({ executorConfigs, env }) => checkClaudeCode(executorConfigs["claude-code"] ?? {}, env),
    },
  ],
  ["test-executor", { load: async () => (await import("../../executors/test-executor/ao-test-exec.ts")).main }],
]);

export function builtInNames(): string[] {
  return [...BUILT_IN.keys()];
}

/** The built-in executor of that name: this program, started once more. */
export function builtInExecutor(name: string, options: CatalogOptions): Executor | null {
  if (!BUILT_IN.has(name)) return null;
  return { name, origin: "built-in", path: null, command: [...options.selfCommand, "exec-builtin", name], env: {} };
}

export function checkBuiltIn(name: string, options: CatalogOptions): Readiness {
  return BUILT_IN.get(name)?.checkNeeds?.(options) ?? { ok: true };
}

/** Is a built-in executor, in this process; resolves to the exit code. Throws UserError for a name that is not built in. */
export async function runBuiltIn(name: string, argv: readonly string[]): Promise<number> {
  const builtIn = BUILT_IN.get(name);
  if (builtIn === undefined) {
    throw new UserError(`there is no built-in executor ${JSON.stringify(name)}`, {
      hint: `built in: ${builtInNames().join(", ")}`,
    });
  }
  const main = await builtIn.load();
  return await main(argv);
}
