/** A program that does the work of one run. It reads an invocation on stdin. */
export interface Executor {
  /** The name for `-x`, and the executor type in the runner's registration. */
  readonly name: string;
  readonly origin: ExecutorOrigin;
  /** Null for a built-in executor. */
  readonly path: string | null;
  readonly command: readonly string[];
  /** Variables to add to the environment of the process. */
  readonly env: Readonly<Record<string, string>>;
}

/** Part of this program, found by name in a folder, or given by its path. */
export type ExecutorOrigin = "built-in" | "folder" | "path";

/**
 * Whether an executor could be started now. `note` names its program, such as the Claude Code. `reason` and `hint` are
 * parts of a sentence: no capital, no full stop.
 */
export type Readiness =
  | { readonly ok: true; readonly note?: string }
  | { readonly ok: false; readonly reason: string; readonly hint: string };

export interface CatalogOptions {
  /** Folders of executors, `<folder>/<name>/ao-*-exec*`; the first folder with a name wins. */
  readonly folders: readonly string[];
  /** The base of a relative path to an executor. */
  readonly binaryFolder: string;
  /** The environment that executors inherit. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The settings of executors, by name. */
  readonly executorConfigs: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** The runner's project folder. */
  readonly projectDir?: string;
  /** How to start this program: `[process.execPath]` when compiled, `[process.execPath, Bun.main]` in development. */
  readonly selfCommand: readonly string[];
  /** Folders that the user vouches for, although others can write them. */
  readonly trustedFolders: readonly string[];
  /** The folder for the catalog's own files. */
  readonly stateDir: string;
  readonly platform?: NodeJS.Platform;
}

export function isWindows(options: CatalogOptions): boolean {
  return (options.platform ?? process.platform) === "win32";
}
