/** An executor: a program that carries out one run, told what to do on its stdin. */
export interface Executor {
  /** What `-x` takes, and what the coordinator is told as the executor's type. */
  readonly name: string;
  readonly origin: ExecutorOrigin;
  /** Its file; null for a built-in one. */
  readonly path: string | null;
  /** What to spawn. */
  readonly command: readonly string[];
  /** Variables to add to the environment of the process that is spawned. */
  readonly env: Readonly<Record<string, string>>;
}

/** Part of this program, found by name in a folder, or given by its path. */
export type ExecutorOrigin = "built-in" | "folder" | "path";

/** Whether an executor could be started now; if not, what is wrong and what to do about it. `note` says with what, where that matters. */
export type Readiness =
  | { readonly ok: true; readonly note?: string }
  | { readonly ok: false; readonly reason: string; readonly hint: string };

export interface CatalogOptions {
  /** Folders of executors, `<folder>/<name>/ao-*-exec*`; an earlier one goes before a later one. */
  readonly folders: readonly string[];
  /** Where a relative path to an executor begins. */
  readonly binaryFolder: string;
  /** The environment that executors inherit. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What the settings say about executors, by their name. */
  readonly executorConfigs: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** How to start this program: `[process.execPath]` when compiled, `[process.execPath, Bun.main]` in development. */
  readonly selfCommand: readonly string[];
  /** A folder of ours, for what the catalog has to write. */
  readonly stateDir: string;
  readonly platform?: NodeJS.Platform;
}

export function isWindows(options: CatalogOptions): boolean {
  return (options.platform ?? process.platform) === "win32";
}
