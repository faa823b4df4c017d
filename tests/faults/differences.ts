export interface Difference {
  readonly path: readonly string[];
  readonly before: string;
  readonly after: string;
}

/** The leaves in which two JSON values differ. */
export function differences(before: unknown, after: unknown, path: readonly string[] = []): Difference[] {
  if (Bun.deepEquals(before, after)) return [];
  if (!isObject(before) || !isObject(after) || Array.isArray(before) !== Array.isArray(after))
    return [{ path, before: JSON.stringify(before), after: JSON.stringify(after) }];
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) => differences(before[key], after[key], [...path, key]));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
