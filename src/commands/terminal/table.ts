import { harmlessText } from "../../harmless-text.ts";

/** Rows under headings, columns as wide as they need to be; nothing in them acts on the terminal: rows hold what others wrote. */
export function printTable(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  maxWidth?: number,
): string {
  const clean = rows.map((row) => row.map((cell) => printable(cell)));
  const widths = headings.map((heading, i) =>
    clean.reduce((most, row) => Math.max(most, Bun.stringWidth(row[i] ?? "")), heading.length),
  );
  const line = (cells: readonly string[]): string => {
    const text = cells.map((cell, i) => (i === cells.length - 1 ? cell : padded(cell, widths[i] ?? 0))).join("  ");
    return maxWidth === undefined ? text : fitted(text, maxWidth);
  };
  return [headings, ...clean].map((row) => line(row).trimEnd()).join("\n");
}

/** One line of text without anything that a terminal would act on. */
export function printable(text: string): string {
  return harmlessText(text).replace(/\s+/g, " ");
}

/** As many cells wide as given, or wider. */
export function padded(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - Bun.stringWidth(text)));
}

/** As many cells wide as given at most; where something was cut off it says so. */
export function fitted(text: string, width: number): string {
  if (Bun.stringWidth(text) <= width) return text;
  let fits = "";
  let used = 0;
  for (const character of text) {
    used += Bun.stringWidth(character);
    if (used > width - 1) break;
    fits += character;
  }
  return width < 1 ? "" : `${fits}…`;
}
