import type { CreateAgent, UpdateAgent } from "../../protocol/agent.ts";
import type { Demands } from "../../protocol/run.ts";
import type { AgentFile } from "./agent-file.ts";
import type { AgentFolder } from "./agent-folder.ts";
import { HttpError } from "../routes/http.ts";
import { isoTime, type Store } from "../store/store.ts";

interface AgentRow {
  readonly name: string;
  readonly definition: string;
  readonly status: string;
  readonly created_at: string;
  readonly modified_at: string;
}
type Definition = Omit<CreateAgent, "name">;
/** An agent as the API shows it (protocol, section 1b): nulls left out. */
export type WireAgent = Readonly<Record<string, unknown>> & {
  readonly name: string;
  readonly tags?: readonly string[] | null | undefined;
};

/**
 * The blueprints: those that the API has written and those that live as files. A name that stands in a file is the file's alone, also
 * while the file is broken: a run must not silently get another blueprint than the one that its users see. Files are changed where they
 * are, under their owner's version control, so the API refuses to write them.
 */
export class Agents {
  readonly #store: Store;
  readonly #files: AgentFolder | null;

  constructor(store: Store, files: AgentFolder | null) {
    this.#store = store;
    this.#files = files;
  }

  /** All agents by name, or those that have every one of `tags`. */
  list(tags: readonly string[]): WireAgent[] {
    const rows = this.#store.db.query<AgentRow, []>("SELECT * FROM agents").all();
    const written = rows.filter((row) => this.#fileOf(row.name) === null).map(wireAgent);
    const files = (this.#files?.all() ?? []).flatMap(([name, file]) =>
      file.kind === "good" ? [wireFile(name, file)] : [],
    );
    const all = [...written, ...files].toSorted((a, b) => (a.name < b.name ? -1 : 1));
    return all.filter((agent) => tags.every((tag) => agent.tags?.includes(tag)));
  }

  /** 404 if there is none, or its file is broken. */
  get(name: string): WireAgent {
    const file = this.#fileOf(name);
    if (file === null) return wireAgent(this.#row(name));
    if (file.kind === "good") return wireFile(name, file);
    throw new HttpError(
      404,
      `Agent not found: ${name} (its file ${this.#files?.fileOf(name)} is broken: ${file.fault})`,
    );
  }

  /** What the agent's blueprint demands of a runner; null for an unknown agent, which the runner will report. */
  demandsOf(name: string | null): Demands | null {
    if (name === null) return null;
    const file = this.#fileOf(name);
    if (file !== null) return file.kind === "good" ? (file.definition.demands ?? null) : null;
    const row = this.#find(name);
    return row === null ? null : (definitionOf(row).demands ?? null);
  }

  /** 409 if the name is taken. */
  create({ name, ...definition }: CreateAgent): WireAgent {
    return this.#store.write(() => {
      this.#requireWritable(name);
      if (this.#find(name)) throw new HttpError(409, `Agent already exists: ${name}`);
      const now = isoTime();
      this.#store.db
        .query("INSERT INTO agents (name, definition, status, created_at, modified_at) VALUES (?, ?, 'active', ?, ?)")
        .run(name, JSON.stringify(withoutNulls(definition)), now, now);
      return this.get(name);
    });
  }

  /** Changes what is given; a field given as null stays as it was. 409 for an agent that is a file, here and below. */
  update(name: string, changes: UpdateAgent): WireAgent {
    return this.#store.write(() => {
      this.#requireWritable(name);
      const definition = { ...definitionOf(this.#row(name)), ...withoutNulls(changes) };
      this.#store.db
        .query("UPDATE agents SET definition = ?, modified_at = ? WHERE name = ?")
        .run(JSON.stringify(definition), isoTime(), name);
      return this.get(name);
    });
  }

  setStatus(name: string, status: string): WireAgent {
    return this.#store.write(() => {
      this.#requireWritable(name);
      this.#row(name);
      this.#store.db.query("UPDATE agents SET status = ?, modified_at = ? WHERE name = ?").run(status, isoTime(), name);
      return this.get(name);
    });
  }

  delete(name: string): void {
    this.#store.write(() => {
      this.#requireWritable(name);
      this.#row(name);
      this.#store.db.query("DELETE FROM agents WHERE name = ?").run(name);
    });
  }

  #fileOf(name: string): AgentFile | null {
    return this.#files?.find(name) ?? null;
  }

  #requireWritable(name: string): void {
    if (this.#fileOf(name) !== null)
      throw new HttpError(409, `Agent ${name} is defined by the file ${this.#files?.fileOf(name)}: change it there`);
  }

  #find(name: string): AgentRow | null {
    return this.#store.db.query<AgentRow, [string]>("SELECT * FROM agents WHERE name = ?").get(name);
  }

  #row(name: string): AgentRow {
    const row = this.#find(name);
    if (!row) throw new HttpError(404, `Agent not found: ${name}`);
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
