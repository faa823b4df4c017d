import type { CreateAgent, UpdateAgent } from "../../protocol/agent.ts";
import type { Demands } from "../../protocol/run.ts";
import type { AgentFile } from "./agent-file.ts";
import type { AgentFolder } from "./agent-folder.ts";
import { Refusal } from "../store/refusal.ts";
import { isoTime } from "../store/clock.ts";
import type { Store } from "../store/store.ts";

interface AgentRow {
  readonly name: string;
  readonly definition: string;
  readonly status: string;
  readonly created_at: string;
  readonly modified_at: string;
}
type Definition = Omit<CreateAgent, "name">;
/** An agent as the API shows it (`docs/protocol.md`, section 1b), without nulls. */
export type WireAgent = Readonly<Record<string, unknown>> & {
  readonly name: string;
  readonly tags?: readonly string[] | null | undefined;
};

/**
 * Blueprints, stored through the API or defined by files. A file takes its name, even while the file is broken: a run
 * must not silently get another blueprint than its users see. The API refuses to write agents defined by files: their
 * owners change the files, under their own version control.
 */
export class Agents {
  readonly #store: Store;
  readonly #files: AgentFolder | null;

  constructor(store: Store, files: AgentFolder | null) {
    this.#store = store;
    this.#files = files;
  }

  /** The agents with all of `tags`, sorted by name. */
  async list(tags: readonly string[]): Promise<WireAgent[]> {
    const rows = await this.#store.all<AgentRow>("SELECT * FROM agents");
    const stored = rows.filter((row) => this.#fileOf(row.name) === null).map(wireAgent);
    const files = (this.#files?.all() ?? []).flatMap(([name, file]) =>
      file.kind === "good" ? [wireFile(name, file)] : [],
    );
    const all = [...stored, ...files].toSorted((a, b) => (a.name < b.name ? -1 : 1));
    return all.filter((agent) => tags.every((tag) => agent.tags?.includes(tag)));
  }

  /** Refuses: unknown agent, or its file is broken. */
  async get(name: string): Promise<WireAgent> {
    const file = this.#fileOf(name);
    if (file === null) return wireAgent(await this.#row(name));
    if (file.kind === "good") return wireFile(name, file);
    throw new Refusal(
      "unknown",
      `Agent not found: ${name} (its file ${this.#files?.fileOf(name)} is broken: ${file.fault})`,
    );
  }

  /** The demands of the agent's blueprint; null for an unknown agent, whose run the runner will fail. */
  async demandsOf(name: string | null): Promise<Demands | null> {
    if (name === null) return null;
    const file = this.#fileOf(name);
    if (file !== null) return file.kind === "good" ? (file.definition.demands ?? null) : null;
    const row = await this.#find(name);
    return row === null ? null : (definitionOf(row).demands ?? null);
  }

  /** Refuses: conflict if the name is taken. */
  create({ name, ...definition }: CreateAgent): Promise<WireAgent> {
    return this.#store.write(async () => {
      this.#requireWritable(name);
      if (await this.#find(name)) throw new Refusal("conflict", `Agent already exists: ${name}`);
      const now = isoTime();
      await this.#store.run(
        "INSERT INTO agents (name, definition, status, created_at, modified_at) VALUES (?, ?, 'active', ?, ?)",
        name,
        JSON.stringify(withoutNulls(definition)),
        now,
        now,
      );
      return this.get(name);
    });
  }

  /** Changes the given fields; ignores null. This and the methods below refuse an agent defined by a file: conflict. */
  update(name: string, changes: UpdateAgent): Promise<WireAgent> {
    return this.#store.write(async () => {
      this.#requireWritable(name);
      const definition = { ...definitionOf(await this.#row(name)), ...withoutNulls(changes) };
      await this.#store.run(
        "UPDATE agents SET definition = ?, modified_at = ? WHERE name = ?",
        JSON.stringify(definition),
        isoTime(),
        name,
      );
      return this.get(name);
    });
  }

  setStatus(name: string, status: string): Promise<WireAgent> {
    return this.#store.write(async () => {
      this.#requireWritable(name);
      await this.#row(name);
      await this.#store.run("UPDATE agents SET status = ?, modified_at = ? WHERE name = ?", status, isoTime(), name);
      return this.get(name);
    });
  }

  async delete(name: string): Promise<void> {
    await this.#store.write(async () => {
      this.#requireWritable(name);
      await this.#row(name);
      await this.#store.run("DELETE FROM agents WHERE name = ?", name);
    });
  }

  #fileOf(name: string): AgentFile | null {
    return this.#files?.find(name) ?? null;
  }

  #requireWritable(name: string): void {
    if (this.#fileOf(name) !== null)
      throw new Refusal(
        "conflict",
        `Agent ${name} is defined by the file ${this.#files?.fileOf(name)}: change it there`,
      );
  }

  #find(name: string): Promise<AgentRow | null> {
    return this.#store.get<AgentRow>("SELECT * FROM agents WHERE name = ?", name);
  }

  async #row(name: string): Promise<AgentRow> {
    const row = await this.#find(name);
    if (!row) throw new Refusal("unknown", `Agent not found: ${name}`);
    return row;
  }
}

function definitionOf(row: AgentRow): Definition {
  return JSON.parse(row.definition) as Definition;
}

function wireAgent(row: AgentRow): WireAgent {
  const { name, status, created_at, modified_at } = row;
  return { name, tags: [], ...definitionOf(row), status, created_at, modified_at };
}

function wireFile(name: string, file: Extract<AgentFile, { kind: "good" }>): WireAgent {
  const { definition, isActive, createdAt, modifiedAt } = file;
  const status = isActive ? "active" : "inactive";
  return {
    name,
    tags: [],
    ...withoutNulls(definition),
    status,
    created_at: createdAt,
    modified_at: modifiedAt,
    source: "file",
  };
}

function withoutNulls(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null && value !== undefined));
}
