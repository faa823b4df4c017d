/** Rows under headings, columns as wide as they need to be. Control characters are shown as `?`: rows hold what others wrote. */
export function printTable(headings: readonly string[], rows: readonly (readonly string[])[], maxWidth?: number): string {
  const clean = rows.map((row) => row.map((cell) => printable(cell)));
  const widths = headings.map((heading, i) => Math.max(heading.length, ...clean.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]): string => {
    const text = cells.map((cell, i) => (i === cells.length - 1 ? cell : cell.padEnd(widths[i] ?? 0))).join("  ");
    return maxWidth !== undefined && text.length > maxWidth ? `${text.slice(0, maxWidth - 1)}…` : text;
  };
  return [headings, ...clean].map((row) => line(row).trimEnd()).join("\n");
}

/** One line of text without anything that a terminal would act on. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/\s+/g, " ").replace(/[\x00-\x1f\x7f-\x9f]/g, "?");
}
