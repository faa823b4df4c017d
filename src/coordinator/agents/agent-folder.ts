import { type FSWatcher, readdirSync, statSync, watch } from "node:fs";
import { join } from "node:path";
import { describeError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { AGENT_FILES, type AgentFile, readAgentFile } from "./agent-file.ts";

/** A file is often written in several steps; all of them are one change. */
const SETTLE_MS = 100;
/** Not every file system tells of changes (network mounts do not). */
const LOOK_ANYWAY_MS = 10_000;

interface Entry {
  readonly file: AgentFile;
  /** What the file system says about the files: other words mean other files. */
  readonly state: string;
}

/**
 * The agents that live as files, `<folder>/<name>/agent.json` and what belongs to it. The folder is watched: a change counts from the
 * moment in which it is read. Files that cannot be read are told of once; what they said before stays.
 */
export class AgentFolder implements Disposable {
  readonly path: string;
  readonly #log: Log;
  readonly #entries = new Map<string, Entry>();
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #anyway: Timer;
  #settling: Timer | undefined;

  constructor(path: string, log: Log) {
    this.path = path;
    this.#log = log;
    this.#read();
    log.info(`${this.#entries.size} agents in ${path}`);
    this.#anyway = setInterval(() => this.#read(), LOOK_ANYWAY_MS);
  }

  /** The agents' names and what their files say. */
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
    clearInterval(this.#anyway);
    clearTimeout(this.#settling);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  /** Each folder is watched before it is read, so that no change falls between the two. */
  #read(): void {
    this.#watch(this.path);
    const names = this.#foldersWithAgents();
    if (names === null) return;
    for (const name of this.#entries.keys()) if (!names.includes(name)) this.#forget(name);
    for (const name of names) this.#readAgent(name);
  }

  /** Null where the folder itself cannot be read, perhaps for a moment: what was read stays. */
  #foldersWithAgents(): string[] | null {
    try {
      const names = readdirSync(this.path).filter((name) => !name.startsWith("."));
      // A folder that is being made has no agent.json yet; it is watched for one.
      const folders = names.filter(
        (name) => statSync(join(this.path, name), { throwIfNoEntry: false })?.isDirectory() === true,
      );
      for (const name of folders) this.#watch(join(this.path, name));
      return folders.filter((name) => statSync(this.fileOf(name), { throwIfNoEntry: false }) !== undefined);
    } catch (error) {
      this.#log.warn(`The agents' folder ${this.path} cannot be read, what was read stays: ${describeError(error)}`);
      return null;
    }
  }

  #readAgent(name: string): void {
    const before = this.#entries.get(name);
    const state = stateOf(join(this.path, name));
    if (before?.state === state) return;
    const file = readAgentFile(join(this.path, name), name);
    if (file.kind === "good") {
      this.#entries.set(name, { file, state });
      if (before !== undefined) this.#log.info(`Agent ${name} was changed in ${this.fileOf(name)}`);
      return;
    }
    const hasGood = before?.file.kind === "good";
    this.#entries.set(name, { file: hasGood ? before.file : file, state });
    this.#log.warn(
      `Agent ${name} in ${join(this.path, name)} is broken, ${hasGood ? "what it was before stays" : "runs of it will fail"}: ${file.fault}`,
    );
  }

  #forget(name: string): void {
    this.#entries.delete(name);
    this.#log.info(`Agent ${name} is no longer in ${this.path}`);
  }

  #watch(folder: string): void {
    if (this.#watchers.has(folder)) return;
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#settle());
      // Of a folder that was removed; one of the same name needs a new watcher.
      watcher.on("error", () => this.#unwatch(folder));
      this.#watchers.set(folder, watcher);
    } catch (error) {
      this.#log.debug(`${folder} is looked at now and then: ${describeError(error)}`);
    }
  }

  #unwatch(folder: string): void {
    this.#watchers.get(folder)?.close();
    this.#watchers.delete(folder);
  }

  #settle(): void {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => {
      // A folder may have been replaced by another of its name: the old watchers would see nothing of it.
      for (const folder of this.#watchers.keys()) this.#unwatch(folder);
      this.#read();
    }, SETTLE_MS);
  }
}

function stateOf(folder: string): string {
  return Object.values(AGENT_FILES)
    .map((name) => {
      const stat = statSync(join(folder, name), { throwIfNoEntry: false });
      return stat === undefined ? "-" : `${stat.ino}:${stat.size}:${stat.mtimeMs}:${stat.ctimeMs}`;
    })
    .join(" ");
}
