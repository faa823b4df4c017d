import type { CreateAgent, UpdateAgent } from "../protocol/agent.ts";
import type { Demands } from "../protocol/run.ts";
import { HttpError } from "./http.ts";
import { isoTime, type Store } from "./store.ts";

interface AgentRow {
  readonly name: string;
  readonly definition: string;
  readonly status: string;
  readonly created_at: string;
  readonly modified_at: string;
}
type Definition = Omit<CreateAgent, "name">;
/** An agent as the API shows it (protocol, section 1b): nulls left out. */
export type WireAgent = Readonly<Record<string, unknown>> & { readonly name: string };

/** The blueprints. */
export class Agents {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** All agents by name, or those that have every one of `tags`. */
  list(tags: readonly string[]): WireAgent[] {
    const rows = this.#store.db.query<AgentRow, []>("SELECT * FROM agents ORDER BY name").all();
    return rows.filter((row) => tags.every((tag) => definitionOf(row).tags?.includes(tag))).map(wireAgent);
  }

  /** 404 if there is none. */
  get(name: string): unknown {
    return wireAgent(this.#row(name));
  }

  /** What the agent's blueprint demands of a runner; null for an unknown agent, which the runner will report. */
  demandsOf(name: string | null): Demands | null {
    const row = name === null ? null : this.#find(name);
    return row === null ? null : (definitionOf(row).demands ?? null);
  }

  /** 409 if the name is taken. */
  create({ name, ...definition }: CreateAgent): unknown {
    return this.#store.write(() => {
      if (this.#find(name)) throw new HttpError(409, `Agent already exists: ${name}`);
      const now = isoTime();
      this.#store.db
        .query("INSERT INTO agents (name, definition, status, created_at, modified_at) VALUES (?, ?, 'active', ?, ?)")
        .run(name, JSON.stringify(withoutNulls(definition)), now, now);
      return this.get(name);
    });
  }

  /** Changes what is given; a field given as null stays as it was. */
  update(name: string, changes: UpdateAgent): unknown {
    return this.#store.write(() => {
      const definition = { ...definitionOf(this.#row(name)), ...withoutNulls(changes) };
      this.#store.db
        .query("UPDATE agents SET definition = ?, modified_at = ? WHERE name = ?")
        .run(JSON.stringify(definition), isoTime(), name);
      return this.get(name);
    });
  }

  setStatus(name: string, status: string): unknown {
    return this.#store.write(() => {
      this.#row(name);
      this.#store.db.query("UPDATE agents SET status = ?, modified_at = ? WHERE name = ?").run(status, isoTime(), name);
      return this.get(name);
    });
  }

  delete(name: string): void {
    this.#store.write(() => {
      this.#row(name);
      this.#store.db.query("DELETE FROM agents WHERE name = ?").run(name);
    });
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

function withoutNulls(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null && value !== undefined));
}
