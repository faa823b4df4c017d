import { listResponse } from "./http.ts";
import { invalid } from "../store/refusal.ts";
import type { Store } from "../store/store.ts";

/** One page of a list. Without one the whole list is meant, as the seed generation gives it. */
export interface Page {
  readonly limit: number;
  /** Newest first, or oldest first. */
  readonly order: "desc" | "asc";
  /** Where the page before has ended. */
  readonly after: number | null;
}

const MOST_OF_A_PAGE = 1_000;
const DEFAULT_OF_A_PAGE = 100;

/** `limit`, `cursor` and `order` of a request; null where neither of the first two is given. 422 for what they cannot be. */
export function pageOf(query: URLSearchParams, usualOrder: Page["order"] = "desc"): Page | null {
  const order = query.get("order") ?? usualOrder;
  if (order !== "asc" && order !== "desc") throw invalid(["query", "order"], "Expected asc or desc");
  const limit = limitOf(query);
  const cursor = query.get("cursor");
  if (limit === null && cursor === null) return null;
  if (cursor !== null && !/^\d{1,15}$/.test(cursor))
    throw invalid(["query", "cursor"], "Expected the next_cursor of another page");
  return { limit: limit ?? DEFAULT_OF_A_PAGE, order, after: cursor === null ? null : Number(cursor) };
}

/** A page of a short list whose rows have names: in order of the names, after that of the cursor. Without `limit` and `cursor` all of it. */
export function namedPage<Row>(
  query: URLSearchParams,
  rows: readonly Row[],
  nameOf: (row: Row) => string,
): { rows: readonly Row[]; next: string | null } {
  const cursor = query.get("cursor");
  const limit = limitOf(query) ?? (cursor === null ? null : DEFAULT_OF_A_PAGE);
  if (limit === null) return { rows, next: null };
  const sorted = rows.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  const rest = cursor === null ? sorted : sorted.filter((row) => nameOf(row) > cursor);
  const last = rest[limit - 1];
  return { rows: rest.slice(0, limit), next: last === undefined || rest.length === limit ? null : nameOf(last) };
}

function limitOf(query: URLSearchParams): number | null {
  const limit = query.get("limit");
  if (limit === null) return null;
  if (/^\d{1,4}$/.test(limit) && Number(limit) >= 1 && Number(limit) <= MOST_OF_A_PAGE) return Number(limit);
  throw invalid(["query", "limit"], `Expected a whole number from 1 to ${MOST_OF_A_PAGE}`);
}

/** What is sought in a table whose `seq` is the order of creation. */
export interface Sought {
  readonly table: "runs" | "sessions" | "events";
  /** The index that leads to it in order of `seq`; without one the table itself is gone through. */
  readonly index?: string;
  /** Conditions, each with the values for its question marks. */
  readonly where: readonly (readonly [condition: string, ...values: string[]])[];
  /** Several values of the column that the index begins with: each is looked for by itself, and the results are merged. */
  readonly anyOf?: { readonly column: string; readonly values: readonly string[] };
}

/** The rows of one page, in its order. */
export function rowsOfPage<Row extends { readonly seq: number }>(
  { db }: Store,
  sought: Sought,
  { limit, order, after }: Page,
): Row[] {
  const terms = sought.where.map(([condition]) => condition);
  const values: (string | number)[] = sought.where.flatMap(([, ...given]) => given);
  if (after !== null) {
    terms.push(order === "desc" ? "seq < ?" : "seq > ?");
    values.push(after);
  }
  const from = `${sought.table}${sought.index === undefined ? "" : ` INDEXED BY ${sought.index}`}`;
  const select = (columns: string, more: readonly string[]): string =>
    `SELECT ${columns} FROM ${from} WHERE ${[...terms, ...more, "TRUE"].join(" AND ")} ORDER BY seq ${order} LIMIT ?`;
  const { anyOf } = sought;
  if (anyOf === undefined) return db.query<Row, (string | number)[]>(select("*", [])).all(...values, limit);
  const each = anyOf.values.map(() => `SELECT * FROM (${select("seq", [`${anyOf.column} = ?`])})`);
  const sql = `SELECT * FROM ${sought.table} WHERE seq IN (${each.join(" UNION ALL ")}) ORDER BY seq ${order} LIMIT ?`;
  return db
    .query<Row, (string | number)[]>(sql)
    .all(...anyOf.values.flatMap((value) => [...values, value, limit]), limit);
}

/** Where the next page begins; null after the last one. */
export function nextCursor(rows: readonly { readonly seq: number }[], { limit }: Page): string | null {
  return rows.length < limit ? null : String(rows.at(-1)?.seq);
}

/** So many rows are in memory at a time while a whole list is written. */
const ROWS_AT_A_TIME = 200;

/** Everything that is sought, oldest first, a few rows at a time. */
function* allRows<Row extends { readonly seq: number }>(store: Store, sought: Sought): Generator<Row[]> {
  for (let after: number | null = null; ;) {
    const rows: Row[] = rowsOfPage<Row>(store, sought, { limit: ROWS_AT_A_TIME, order: "asc", after });
    if (rows.length > 0) yield rows;
    if (rows.length < ROWS_AT_A_TIME) return;
    after = rows.at(-1)?.seq ?? null;
  }
}

/** `{[key]: rows, next_cursor}` for a page, or the whole list in the seed's shape, written as it is read. */
export function answerList<Row extends { readonly seq: number }>(
  list: { readonly key: string; readonly store: Store; readonly sought: Sought; readonly show: (row: Row) => unknown },
  page: Page | null,
): Response {
  const { key, store, sought, show } = list;
  if (page === null) return listResponse(key, mapped(allRows<Row>(store, sought), show));
  const rows = rowsOfPage<Row>(store, sought, page);
  return Response.json({ [key]: rows.map(show), next_cursor: nextCursor(rows, page) });
}

function* mapped<Row>(pages: Iterable<Row[]>, show: (row: Row) => unknown): Generator<unknown[]> {
  for (const rows of pages) yield rows.map(show);
}
