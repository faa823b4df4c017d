import { type FSWatcher, readdirSync, statSync, watch } from "node:fs";
import { join } from "node:path";
import { describeError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { AGENT_FILES, type AgentFile, readAgentFile } from "./agent-file.ts";

/** Treats several writes in a row as one change: editors often write a file in several steps. */
const SETTLE_MS = 100;
/** Scans the folder regularly as well: network mounts do not notify about changes. */
const SCAN_INTERVAL_MS = 10_000;

export interface AgentFolderOptions {
  readonly path: string;
  /** Folders that the user vouches for, although others can write them. */
  readonly trustedFolders: readonly string[];
}

interface Entry {
  readonly file: AgentFile;
  /** Identifies the version of the files: inode, size and times of each. */
  readonly version: string;
}

/**
 * Agents defined by files: `<folder>/<name>/agent.json` and the files beside it. Watches the folder and reads changes
 * at once. Logs broken files once per change, and keeps the last good definition.
 */
export class AgentFolder implements Disposable {
  readonly path: string;
  readonly #trustedFolders: readonly string[];
  readonly #log: Log;
  readonly #entries = new Map<string, Entry>();
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #scanTimer: Timer;
  #settling: Timer | undefined;

  constructor({ path, trustedFolders }: AgentFolderOptions, log: Log) {
    this.path = path;
    this.#trustedFolders = trustedFolders;
    this.#log = log;
    this.#scan();
    log.info(`Read ${this.#entries.size} agents from ${path}`);
    this.#scanTimer = setInterval(() => this.#scan(), SCAN_INTERVAL_MS);
  }

  /** All agents by name. */
  all(): [name: string, file: AgentFile][] {
    return [...this.#entries].map(([name, { file }]) => [name, file]);
  }

  find(name: string): AgentFile | null {
    return this.#entries.get(name)?.file ?? null;
  }

  fileOf(name: string): string {
    return join(this.path, name, AGENT_FILES.agent);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#scanTimer);
    clearTimeout(this.#settling);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  /** Watches each folder before reading it: a change in between would go unnoticed otherwise. */
  #scan(): void {
    this.#watch(this.path);
    const names = this.#foldersWithAgents();
    if (names === null) return;
    for (const name of this.#entries.keys()) if (!names.includes(name)) this.#forget(name);
    for (const name of names) this.#readAgent(name);
  }

  /** Null if the folder cannot be read, perhaps only for a moment: the agents stay as they are. */
  #foldersWithAgents(): string[] | null {
    try {
      const names = readdirSync(this.path).filter((name) => !name.startsWith("."));
      // Watches folders without agent.json too: a new folder gets its agent.json later.
      const folders = names.filter(
        (name) => statSync(join(this.path, name), { throwIfNoEntry: false })?.isDirectory() === true,
      );
      for (const name of folders) this.#watch(join(this.path, name));
      return folders.filter((name) => statSync(this.fileOf(name), { throwIfNoEntry: false }) !== undefined);
    } catch (error) {
      this.#log.warn(`Cannot read the agents folder ${this.path}; keeping the known agents: ${describeError(error)}`);
      return null;
    }
  }

  #readAgent(name: string): void {
    const before = this.#entries.get(name);
    const version = versionOf(join(this.path, name));
    if (before?.version === version) return;
    const file = readAgentFile(join(this.path, name), name, {
      within: this.path,
      trustedFolders: this.#trustedFolders,
    });
    if (file.kind === "good") {
      this.#entries.set(name, { file, version });
      if (before !== undefined) this.#log.info(`Agent ${name} changed in ${this.fileOf(name)}`);
      return;
    }
    const hasGood = before?.file.kind === "good";
    this.#entries.set(name, { file: hasGood ? before.file : file, version });
    const effect = hasGood ? "keeping its last good definition" : "its runs will fail";
    this.#log.warn(`Agent ${name} in ${join(this.path, name)} is broken; ${effect}: ${file.fault}`);
  }

  #forget(name: string): void {
    this.#entries.delete(name);
    this.#log.info(`Agent ${name} was removed from ${this.path}`);
  }

  #watch(folder: string): void {
    if (this.#watchers.has(folder)) return;
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#settle());
      // The folder was removed. A new folder of the same name needs a new watcher.
      watcher.on("error", () => this.#unwatch(folder));
      this.#watchers.set(folder, watcher);
    } catch (error) {
      this.#log.debug(
        `Cannot watch ${folder}; scanning it every ${SCAN_INTERVAL_MS / 1000} s: ${describeError(error)}`,
      );
    }
  }

  #unwatch(folder: string): void {
    this.#watchers.get(folder)?.close();
    this.#watchers.delete(folder);
  }

  #settle(): void {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => {
      // Watchers follow the inode: after a folder was replaced by another of the same name, they notice nothing.
      for (const folder of this.#watchers.keys()) this.#unwatch(folder);
      this.#scan();
    }, SETTLE_MS);
  }
}

function versionOf(folder: string): string {
  return Object.values(AGENT_FILES)
    .map((name) => {
      const stat = statSync(join(folder, name), { throwIfNoEntry: false });
      return stat === undefined ? "-" : `${stat.ino}:${stat.size}:${stat.mtimeMs}:${stat.ctimeMs}`;
    })
    .join(" ");
}
