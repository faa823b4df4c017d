import { type Aim, type Figure, meetsAim, ratioOf } from "./figure.ts";

const HEADINGS = ["item", "what", "unit", "median", "p99", "limit", "limit p99", "ratio", "aim", "met", "n"];
const LEFT = new Set(["item", "what", "unit", "aim", "met"]);

/** The figures as a Markdown table, padded for the terminal. */
export function renderTable(figures: readonly Figure[]): string {
  const rows = [HEADINGS, ...figures.map(cellsOf)];
  const widths = HEADINGS.map((_, column) => Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) => line(row.map((cell, column) => pad(cell, column, widths[column] ?? 0))));
  const rule = line(widths.map((width, column) => (isLeft(column) ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)));
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}

/** A list that explains the limits. */
export function renderLimits(figures: readonly Figure[]): string {
  const limits = new Map(
    figures.flatMap(({ item, what, limitIs }) =>
      limitIs === undefined ? [] : [[`${item}, ${what}`, limitIs] as const],
    ),
  );
  return [...limits].map(([name, limitIs]) => `- ${name}: ${limitIs}`).join("\n");
}

function cellsOf(figure: Figure): string[] {
  const { item, what, unit, measured, limit, aim } = figure;
  const ratio = ratioOf(figure);
  const met = meetsAim(figure);
  return [
    item,
    what,
    unit,
    number(measured.median),
    number(measured.p99),
    limit === null ? "" : number(limit.median),
    limit === null ? "" : number(limit.p99),
    ratio === null ? "" : ratio.toFixed(2),
    aim === undefined ? "" : describeAim(figure, aim),
    met === null ? "" : met ? "yes" : "no",
    String(measured.samples),
  ];
}

function describeAim({ better, unit }: Figure, { of, bound }: Aim): string {
  const sign = better === "lower" ? "<=" : ">=";
  return of === "ratio" ? `${of} ${sign} ${bound}` : `${of} ${sign} ${bound} ${unit}`;
}

/** A number with three significant digits. */
function number(value: number): string {
  if (!Number.isFinite(value)) return "-";
  const size = Math.abs(value);
  if (size === 0) return "0";
  return size >= 100
    ? value.toFixed(0)
    : size >= 10
      ? value.toFixed(1)
      : size >= 1
        ? value.toFixed(2)
        : value.toFixed(3);
}

function isLeft(column: number): boolean {
  return LEFT.has(HEADINGS[column] ?? "");
}

function pad(cell: string, column: number, width: number): string {
  return isLeft(column) ? cell.padEnd(width) : cell.padStart(width);
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}
