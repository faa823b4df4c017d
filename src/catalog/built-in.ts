import { join } from "node:path";
import {
  checkNeeds as checkClaudeCode,
  isInstalled as isClaudeInstalled,
} from "../../executors/claude-code/readiness.ts";
import { UserError } from "../errors.ts";
import type { CatalogOptions, Executor, Readiness } from "./executor.ts";

interface BuiltIn {
  /** Loads its main function, which resolves to the exit code. Lazy, to cost no start-up time. */
  readonly load: () => Promise<(argv: readonly string[]) => Promise<number>>;
  /** Variables to add to its environment. */
  readonly env?: (options: CatalogOptions) => Readonly<Record<string, string>>;
  /** Checks the programs that it needs on this machine. */
  readonly checkNeeds?: (options: CatalogOptions) => Readiness;
  /** Whether those programs are there, without starting one. */
  readonly isInstalled?: (options: CatalogOptions) => boolean;
}

const BUILT_IN: ReadonlyMap<string, BuiltIn> = new Map<string, BuiltIn>([
  [
    "claude-code",
    {
      load: async () => (await import("../../executors/claude-code/ao-claude-code-exec.ts")).main,
      checkNeeds: ({ executorConfigs, env, projectDir }) =>
        checkClaudeCode(executorConfigs["claude-code"] ?? {}, env, projectDir),
      isInstalled: ({ executorConfigs, env }) => isClaudeInstalled(executorConfigs["claude-code"] ?? {}, env),
    },
  ],
  [
    "test-executor",
    {
      load: async () => (await import("../../executors/test-executor/ao-test-exec.ts")).main,
      // Its own default lies in HOME, which may be read-only.
      env: ({ env, stateDir }) => ({
        AGENT_EXECUTOR_STATE_DIR: env["AGENT_EXECUTOR_STATE_DIR"] || join(stateDir, "test-executor"),
      }),
    },
  ],
]);

export function builtInNames(): string[] {
  return [...BUILT_IN.keys()];
}

/** The built-in executor of that name, which is another process of this program. */
export function builtInExecutor(name: string, options: CatalogOptions): Executor | null {
  const builtIn = BUILT_IN.get(name);
  if (builtIn === undefined) return null;
  const command = [...options.selfCommand, "exec-builtin", name];
  return { name, origin: "built-in", path: null, command, env: builtIn.env?.(options) ?? {} };
}

export function checkBuiltIn(name: string, options: CatalogOptions): Readiness {
  return BUILT_IN.get(name)?.checkNeeds?.(options) ?? { ok: true };
}

/** Whether a built-in executor finds its program. Quicker than {@link checkBuiltIn}, which starts it. */
export function isBuiltInInstalled(name: string, options: CatalogOptions): boolean {
  return BUILT_IN.get(name)?.isInstalled?.(options) ?? BUILT_IN.has(name);
}

/** Runs a built-in executor in this process; resolves to the exit code. Throws UserError for an unknown name. */
export async function runBuiltIn(name: string, argv: readonly string[]): Promise<number> {
  const builtIn = BUILT_IN.get(name);
  if (builtIn === undefined) {
    throw new UserError(`There is no built-in executor ${JSON.stringify(name)}`, {
      hint: `Built in: ${builtInNames().join(", ")}`,
    });
  }
  const main = await builtIn.load();
  return await main(argv);
}
