/** `status` takes several statuses, separated by commas. */
export interface ListFilter {
  readonly status?: string | undefined;
  readonly session?: string | undefined;
}

export interface Newest<Row> {
  readonly rows: readonly Row[];
  /** True if older rows match too. */
  readonly isCut: boolean;
}

/** One page of a list. `nextCursor` is null on the last page, and undefined from a coordinator without pages. */
export interface Page<Row> {
  readonly rows: readonly Row[];
  readonly nextCursor: string | null | undefined;
}

const MAX_PAGE_ROWS = 1_000;

/**
 * Reads the newest rows that match the filter, page by page from the newest, and returns them in order of creation.
 * `fetchPage` gets the query of each page. A coordinator without pages answers with all rows, oldest first, and
 * ignores the filter.
 */
export async function newestRows<Row extends { readonly status: string; readonly session_id: string }>(
  filter: ListFilter,
  limit: number,
  fetchPage: (query: Readonly<Record<string, string>>) => Promise<Page<Row>>,
): Promise<Newest<Row>> {
  const { status, session } = filter;
  const statuses = status?.split(",");
  const matches = (row: Row): boolean =>
    statuses?.includes(row.status) !== false && (session === undefined || row.session_id === session);
  const query = { ...(status === undefined ? {} : { status }), ...(session === undefined ? {} : { session }) };
  const found: Row[] = [];
  for (let cursor: string | null = null; ;) {
    const pageLimit = String(Math.min(limit - found.length, MAX_PAGE_ROWS));
    const page: Page<Row> = await fetchPage({ ...query, limit: pageLimit, ...(cursor === null ? {} : { cursor }) });
    const rows = page.rows.filter(matches);
    if (page.nextCursor === undefined) return { rows: rows.slice(-limit), isCut: rows.length > limit };
    found.push(...rows);
    cursor = page.nextCursor;
    if (cursor === null || found.length >= limit) return { rows: found.toReversed(), isCut: cursor !== null };
  }
}
