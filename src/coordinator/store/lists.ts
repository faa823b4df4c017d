import type { Store } from "./store.ts";

/** One page of a list. The API without a page means the whole list, as in the first generation. */
export interface Page {
  readonly limit: number;
  /** Newest first, or oldest first. */
  readonly order: "desc" | "asc";
  /** The `seq` of the last row of the page before. */
  readonly after: number | null;
}

/** Selects rows of a table whose `seq` is the order of creation. */
export interface ListQuery {
  readonly table: "runs" | "sessions" | "events";
  /** An index in order of `seq`; without `index`, SQLite reads the table itself. */
  readonly index?: string;
  /** Conditions, each with the values for its question marks. */
  readonly where: readonly (readonly [condition: string, ...values: string[]])[];
  /** Several values of the first column of the index. Each is a query of its own; the results are merged. */
  readonly anyOf?: { readonly column: string; readonly values: readonly string[] };
}

/** The rows of one page, in its order. */
export function rowsOfPage<Row extends { readonly seq: number }>(
  store: Store,
  query: ListQuery,
  { limit, order, after }: Page,
): Promise<Row[]> {
  const terms = query.where.map(([condition]) => condition);
  const values: (string | number)[] = query.where.flatMap(([, ...given]) => given);
  if (after !== null) {
    terms.push(order === "desc" ? "seq < ?" : "seq > ?");
    values.push(after);
  }
  const from = `${query.table}${query.index === undefined ? "" : ` INDEXED BY ${query.index}`}`;
  const select = (columns: string, more: readonly string[]): string =>
    `SELECT ${columns} FROM ${from} WHERE ${[...terms, ...more, "TRUE"].join(" AND ")} ORDER BY seq ${order} LIMIT ?`;
  const { anyOf } = query;
  if (anyOf === undefined) return store.all<Row>(select("*", []), ...values, limit);
  const each = anyOf.values.map(() => `SELECT * FROM (${select("seq", [`${anyOf.column} = ?`])}) AS of_one`);
  const sql = `SELECT * FROM ${query.table} WHERE seq IN (${each.join(" UNION ALL ")}) ORDER BY seq ${order} LIMIT ?`;
  return store.all<Row>(sql, ...anyOf.values.flatMap((value) => [...values, value, limit]), limit);
}

/** The cursor of the page after `rows`; null after the last page. */
export function nextCursor(rows: readonly { readonly seq: number }[], { limit }: Page): string | null {
  return rows.length < limit ? null : String(rows.at(-1)?.seq);
}

/** Bounds the memory that an answer with a whole list takes. */
const ROWS_AT_A_TIME = 200;

/** All rows in batches. */
export async function* allRows<Row extends { readonly seq: number }>(
  store: Store,
  query: ListQuery,
  order: Page["order"],
): AsyncGenerator<Row[], undefined> {
  for (let after: number | null = null; ;) {
    const rows: Row[] = await rowsOfPage<Row>(store, query, { limit: ROWS_AT_A_TIME, order, after });
    if (rows.length > 0) yield rows;
    if (rows.length < ROWS_AT_A_TIME) return;
    after = rows.at(-1)?.seq ?? null;
  }
}
