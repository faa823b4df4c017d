/** What a list is narrowed to; several statuses are separated by commas. */
export interface ListFilter {
  readonly status?: string | undefined;
  readonly session?: string | undefined;
}

export interface Newest<Row> {
  readonly rows: readonly Row[];
  /** There are older ones. */
  readonly isCut: boolean;
}

/** One answer of a list; `nextCursor` is null on its last page, undefined from a coordinator that knows no pages. */
export interface Page<Row> {
  readonly rows: readonly Row[];
  readonly nextCursor: string | null | undefined;
}

const MOST_OF_A_PAGE = 1_000;

/**
 * The newest rows that the filter lets through, in order of creation, page by page from the newest. `ask` is given the query of each page. A
 * coordinator that knows no pages answers with everything, oldest first and whatever the filter.
 */
export async function newestRows<Row extends { readonly status: string; readonly session_id: string }>(
  filter: ListFilter,
  most: number,
  ask: (query: Readonly<Record<string, string>>) => Promise<Page<Row>>,
): Promise<Newest<Row>> {
  const { status, session } = filter;
  const statuses = status?.split(",");
  const passes = (row: Row): boolean =>
    statuses?.includes(row.status) !== false && (session === undefined || row.session_id === session);
  const narrowed = { ...(status === undefined ? {} : { status }), ...(session === undefined ? {} : { session }) };
  const found: Row[] = [];
  for (let cursor: string | null = null; ;) {
    const limit = String(Math.min(most - found.length, MOST_OF_A_PAGE));
    const page: Page<Row> = await ask({ ...narrowed, limit, ...(cursor === null ? {} : { cursor }) });
    const rows = page.rows.filter(passes);
    if (page.nextCursor === undefined) return { rows: rows.slice(-most), isCut: rows.length > most };
    found.push(...rows);
    cursor = page.nextCursor;
    if (cursor === null || found.length >= most) return { rows: found.toReversed(), isCut: cursor !== null };
  }
}
