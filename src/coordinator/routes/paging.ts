import { listResponse } from "./http.ts";
import { invalid } from "../store/refusal.ts";
import type { Store } from "../store/store.ts";
import { allRows, type ListQuery, nextCursor, type Page, rowsOfPage } from "../store/lists.ts";

const MAX_LIMIT = 1_000;
const DEFAULT_LIMIT = 100;

/** The page from `limit`, `cursor` and `order`; null without `limit` and `cursor`. Refuses: invalid. */
export function pageOf(query: URLSearchParams, defaultOrder: Page["order"] = "desc"): Page | null {
  const order = query.get("order") ?? defaultOrder;
  if (order !== "asc" && order !== "desc") throw invalid(["query", "order"], "Expected asc or desc");
  const limit = limitOf(query);
  const cursor = query.get("cursor");
  if (limit === null && cursor === null) return null;
  if (cursor !== null && !/^\d{1,15}$/.test(cursor))
    throw invalid(["query", "cursor"], "Expected the next_cursor of another page");
  return { limit: limit ?? DEFAULT_LIMIT, order, after: cursor === null ? null : Number(cursor) };
}

/** A page of a short list, in order of names; the cursor is a name. Without `limit` and `cursor`: all `rows`. */
export function namedPage<Row>(
  query: URLSearchParams,
  rows: readonly Row[],
  nameOf: (row: Row) => string,
): { rows: readonly Row[]; next: string | null } {
  const cursor = query.get("cursor");
  const limit = limitOf(query) ?? (cursor === null ? null : DEFAULT_LIMIT);
  if (limit === null) return { rows, next: null };
  const sorted = rows.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  const rest = cursor === null ? sorted : sorted.filter((row) => nameOf(row) > cursor);
  const last = rest[limit - 1];
  return { rows: rest.slice(0, limit), next: last === undefined || rest.length === limit ? null : nameOf(last) };
}

function limitOf(query: URLSearchParams): number | null {
  const limit = query.get("limit");
  if (limit === null) return null;
  if (/^\d{1,4}$/.test(limit) && Number(limit) >= 1 && Number(limit) <= MAX_LIMIT) return Number(limit);
  throw invalid(["query", "limit"], `Expected a whole number from 1 to ${MAX_LIMIT}`);
}

/**
 * `{[key]: rows, next_cursor}` for a page. Without a page: streams the whole list as the first generation does, in
 * `wholeOrder`.
 */
export async function answerList<Row extends { readonly seq: number }>(
  list: {
    readonly key: string;
    readonly store: Store;
    readonly query: ListQuery;
    readonly show: (row: Row) => unknown;
    /** Default: oldest first. */
    readonly wholeOrder?: Page["order"];
  },
  page: Page | null,
): Promise<Response> {
  const { key, store, query, show, wholeOrder = "asc" } = list;
  if (page === null)
    return listResponse(
      key,
      mapped(allRows<Row>(store, query, wholeOrder), show),
      () => store.durable(),
      (error) => store.health.refusalFor(error),
    );
  const rows = await rowsOfPage<Row>(store, query, page);
  return Response.json({ [key]: rows.map(show), next_cursor: nextCursor(rows, page) });
}

async function* mapped<Row>(
  pages: AsyncIterable<Row[]>,
  show: (row: Row) => unknown,
): AsyncGenerator<unknown[], undefined> {
  for await (const rows of pages) yield rows.map(show);
}
