import { harmlessText } from "../../harmless-text.ts";

/** Rows under headings, in columns as wide as their content. Text from outside cannot control the terminal. */
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

/** The columns of the terminal; undefined if stdout is none, or a terminal that does not know its size. */
export function terminalWidth({ isTerminal }: { readonly isTerminal: boolean }): number | undefined {
  return (isTerminal && process.stdout.columns) || undefined;
}

/** One line of text that cannot control the terminal. */
export function printable(text: string): string {
  return harmlessText(text).replace(/\s+/g, " ");
}

/** Pads text to `width` terminal cells; longer text stays as it is. */
export function padded(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - Bun.stringWidth(text)));
}

/** Cuts text to `width` terminal cells; an ellipsis marks a cut. */
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
