/** The numbered list of ARCHITECTURE.md: top line first; a line holds one part or several peers. */
export interface Layers {
  /** A part is a file (`src/main.ts`) or a folder (`src/runner/`). */
  readonly lines: readonly (readonly string[])[];
  /** The parts that files in `executors/` may import besides their own folder. */
  readonly forExecutors: readonly string[];
}

/** Throws if the document has no layer list, or no sentence about executors. */
export function readLayers(architecture: string): Layers {
  const lines: string[][] = [];
  for (const [, names] of architecture.matchAll(/^\d+\. (`[^`]+`(?: \| `[^`]+`)*): /gm)) lines.push(quoted(names));
  const forExecutors = quoted(/^`executors\/<name>\/` import ([^.]*?) and the last line only/m.exec(architecture)?.[1]);
  if (lines.length < 2 || forExecutors.length === 0)
    throw new Error("ARCHITECTURE.md: no layer list, or nothing about executors");
  return { lines, forExecutors: [...forExecutors, ...(lines.at(-1) ?? [])] };
}

/** Whether `file` is `part`, or lies in it. */
export function isIn(part: string, file: string): boolean {
  return part.endsWith("/") ? file.startsWith(part) : file === part;
}

/** The line (0 is the top) and part of a file; undefined if the list does not name it. */
export function placeOf(file: string, { lines }: Layers): { line: number; part: string } | undefined {
  for (const [line, parts] of lines.entries()) {
    const part = parts.find((candidate) => isIn(candidate, file));
    if (part !== undefined) return { line, part };
  }
  return undefined;
}

function quoted(text = ""): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "");
}
