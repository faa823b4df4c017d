/** The numbered list of ARCHITECTURE.md: top line first; a line holds one part or several peers. */
export interface Layers {
  /** A part is a file (`src/main.ts`) or a folder (`src/runner/`). */
  readonly lines: readonly (readonly string[])[];
  /** The rooms of a big folder: folder to levels, top level first; `*` is the files beside the rooms. */
  readonly rooms: ReadonlyMap<string, readonly (readonly string[])[]>;
  /** The parts that files in `executors/` may import besides their own folder. */
  readonly forExecutors: readonly string[];
}

/** Throws if the document has no layer list, or no sentence about executors. */
export function readLayers(architecture: string): Layers {
  const lines: string[][] = [];
  for (const [, names] of architecture.matchAll(/^\d+\. (`[^`]+`(?: \| `[^`]+`)*):\s/gm)) lines.push(quoted(names));
  const forExecutors = quoted(/^`executors\/<name>\/` import ([^.]*?) and the last line only/m.exec(architecture)?.[1]);
  if (lines.length < 2 || forExecutors.length === 0)
    throw new Error("ARCHITECTURE.md: no layer list, or nothing about executors");
  return { lines, rooms: readRooms(architecture), forExecutors: [...forExecutors, ...(lines.at(-1) ?? [])] };
}

/** Lines such as: - `src/runner/`: `*` > `execution/` > `polling/` | `journal/` */
function readRooms(architecture: string): Map<string, string[][]> {
  const rooms = new Map<string, string[][]>();
  for (const [, folder = "", levels = ""] of architecture.matchAll(/^- `(src\/[\w-]+\/)`: (`\*` > .+)$/gm)) {
    rooms.set(folder, levels.split(" > ").map(quoted));
  }
  return rooms;
}

/** Level and room of a file inside `folder`; undefined where the list does not name its room. */
export function roomOf(file: string, folder: string, { rooms }: Layers): { level: number; room: string } | undefined {
  const [first = "", ...rest] = file.slice(folder.length).split("/");
  const room = rest.length === 0 ? "*" : `${first}/`;
  const level = (rooms.get(folder) ?? []).findIndex((names) => names.includes(room));
  return level === -1 ? undefined : { level, room };
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
