import type { Value } from "../store.ts";

/** One statement in PostgreSQL's words. */
export interface Statement {
  readonly text: string;
  /** For each `$n`, in order, the place of its value. */
  readonly places: readonly number[];
  /** Whether it changes nothing and locks no row, so that it can be repeated after a lost connection. */
  readonly isRead: boolean;
}

/** Strings, quoted names, comments, placeholders, and hints for SQLite's planner: in this order at each place. */
const TOKENS = new RegExp(
  [
    /'(?:[^']|'')*'/,
    /"(?:[^"]|"")*"/,
    /--[^\n]*/,
    /\/\*[\s\S]*?\*\//,
    /\?(\d*)/,
    /\s+(?:NOT\s+INDEXED|INDEXED\s+BY\s+\w+|CROSS(?=\s+JOIN))\b/,
    /\bifnull\b/,
  ]
    .map(({ source }) => source)
    .join("|"),
  "gi",
);

const WRITES = /\b(?:INSERT|UPDATE|DELETE|MERGE|LOCK|SHARE|nextval|setval|pg_advisory\w*|pg_try_advisory\w*)\b/i;
const READS = /^\s*(?:SELECT|WITH|VALUES)\b/i;

/** Enough for every statement of the coordinator; lists of varying length have a text for each length. */
const LONGEST_CACHE = 2000;
const cache = new Map<string, Statement>();

/**
 * Turns SQLite's placeholders (`?`, `?1`) into PostgreSQL's, and drops hints for its planner (`INDEXED BY`, `CROSS JOIN
 * ... ON`). `ifnull`, which an index of old files repeats word for word, becomes `coalesce`. Every other word stays:
 * both engines understand the statements, except for those of `dialects.ts`.
 */
export function statementOf(sql: string): Statement {
  const known = cache.get(sql);
  if (known !== undefined) return known;
  const statement = translate(sql);
  if (cache.size >= LONGEST_CACHE) cache.clear();
  cache.set(sql, statement);
  return statement;
}

function translate(sql: string): Statement {
  const places: number[] = [];
  const numbers = new Map<number, number>();
  let highest = 0;
  const text = sql.replace(TOKENS, (token, digits: string | undefined) => {
    if (/^ifnull$/i.test(token)) return "coalesce";
    if (/^\s/.test(token)) return "";
    if (digits === undefined) return token;
    const place = digits === "" ? highest + 1 : Number(digits);
    highest = Math.max(highest, place);
    let number = numbers.get(place);
    if (number === undefined) {
      places.push(place - 1);
      number = places.length;
      numbers.set(place, number);
    }
    return `$${number}`;
  });
  const words = text.replaceAll(/'(?:[^']|'')*'/g, "''");
  return { text, places, isRead: READS.test(words) && !WRITES.test(words) };
}

/** The values in the order of `$1`, `$2`, ... Throws if the statement wants others than those given. */
export function arrange({ text, places }: Statement, values: readonly Value[]): Value[] {
  if (values.length !== Math.max(0, ...places.map((place) => place + 1))) {
    throw new Error(`${values.length} values for the statement: ${text}`);
  }
  return places.map((place) => values[place] ?? null);
}
