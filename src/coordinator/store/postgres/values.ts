import type { Value } from "../store.ts";

/**
 * The parameter that PostgreSQL gets. Everything goes as text, and the server takes the type from the statement: Bun
 * would send a number as `integer` or `double precision` by its size, so that one statement had several plans, and
 * `text = integer` is an error.
 */
export function parameterOf(value: Value): string | null {
  if (value === null) return null;
  // PostgreSQL stores no NUL: agents may write one all the same.
  return typeof value === "string" ? value.replaceAll("\0", "\uFFFD") : String(value);
}

const BOOL = 16;
const INT8 = 20;
const NUMERIC = 1700;

interface Column {
  readonly name: string;
  readonly type: number;
}

/** What a query of Bun's client resolves to, as far as it is used here. */
export interface Result extends ReadonlyArray<Record<string, unknown>> {
  readonly columns: readonly Column[] | null;
  readonly command: string | null;
  /** The rows that an INSERT, UPDATE or DELETE wrote. */
  readonly affectedRows: number;
}

/** The rows as SQLite gives them: int8 and numeric, which come as text, are numbers; booleans are 0 and 1. */
export function rowsOf<Row>(result: Result): Row[] {
  for (const { name, type } of result.columns ?? []) {
    if (type === INT8 || type === NUMERIC) convert(result, name, Number);
    else if (type === BOOL) convert(result, name, (value) => (value === true || value === "t" ? 1 : 0));
  }
  return [...result] as unknown as Row[];
}

function convert(rows: Result, name: string, converted: (value: unknown) => number): void {
  for (const row of rows) if (row[name] !== null) row[name] = converted(row[name]);
}
