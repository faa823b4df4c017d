import * as v from "valibot";

/** Parses each row separately and drops invalid rows, so that one of them does not hide the rest of a list. */
export function keepValid<S extends v.GenericSchema>(schema: S, rows: readonly unknown[]): v.InferOutput<S>[] {
  return rows.flatMap((row) => {
    const parsed = v.safeParse(schema, row);
    return parsed.success ? [parsed.output] : [];
  });
}
