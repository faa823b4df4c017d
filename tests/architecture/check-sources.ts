import { posix } from "node:path";
import { isIn, placeOf, roomOf, type Layers } from "./layers.ts";
import { KNOW_EXECUTORS, type Owned } from "./owners.ts";

/** Maps a path from the project's folder, with forward slashes, to its text. */
export type Sources = Readonly<Record<string, string>>;

/** Returns one line for each import that the layers forbid, and for each API that a file uses without owning it. */
export function checkSources(sources: Sources, layers: Layers, owned: readonly Owned[]): string[] {
  return Object.entries(sources).flatMap(([file, text]) => {
    const code = blank(text, "comments");
    const imports = importsOf(code);
    return [...wrongImports(file, imports, layers), ...wrongUses(file, code, imports, owned)];
  });
}

/** Returns one line for each part that is only in `src` or only in the list, such as `src/x.ts` or `src/y/`. */
export function checkParts(parts: readonly string[], layers: Layers): string[] {
  const named = layers.lines.flat();
  return [
    ...parts
      .filter((part) => !named.includes(part))
      .map((part) => `${part} is not in the layer list of ARCHITECTURE.md`),
    ...named
      .filter((part) => !parts.includes(part))
      .map((part) => `${part} is in the layer list of ARCHITECTURE.md but does not exist`),
  ];
}

function wrongImports(file: string, imports: readonly string[], layers: Layers): string[] {
  const faults: string[] = [];
  for (const specifier of imports) {
    if (!specifier.startsWith(".")) continue;
    const target = posix.join(posix.dirname(file), specifier);
    const fault = file.startsWith("executors/")
      ? executorFault(file, target, layers)
      : sourceFault(file, target, layers);
    if (fault !== undefined) faults.push(`${file} imports ${target}: ${fault}`);
  }
  return faults;
}

function sourceFault(file: string, target: string, layers: Layers): string | undefined {
  if (target === "package.json") return undefined;
  const from = placeOf(file, layers);
  if (target.startsWith("executors/")) {
    return KNOW_EXECUTORS.some((part) => isIn(part, file))
      ? undefined
      : `only ${KNOW_EXECUTORS.join(", ")} know our executors`;
  }
  const to = placeOf(target, layers);
  if (from === undefined || to === undefined) return "one of the two is in no layer";
  if (from.part === to.part) return roomFault(from.part, file, target, layers);
  if (from.line < to.line) return undefined;
  return from.line === to.line ? "peers do not import each other" : "imports only point down";
}

function roomFault(folder: string, file: string, target: string, layers: Layers): string | undefined {
  if (!layers.rooms.has(folder)) return undefined;
  const from = roomOf(file, folder, layers);
  const to = roomOf(target, folder, layers);
  if (from === undefined || to === undefined) return `a room of ${folder} is not in the list`;
  if (from.room === to.room || from.level < to.level) return undefined;
  return from.level === to.level ? "rooms of one level do not import each other" : "imports only point to rooms below";
}

function executorFault(file: string, target: string, layers: Layers): string | undefined {
  const own = `${file.split("/").slice(0, 2).join("/")}/`;
  if (isIn(own, target) || layers.forExecutors.some((part) => isIn(part, target))) return undefined;
  return `an executor imports its own folder, ${layers.forExecutors.join(", ")}`;
}

function wrongUses(file: string, code: string, imports: readonly string[], owned: readonly Owned[]): string[] {
  const bare = blank(code, "strings");
  const uses = ({ api }: Owned): boolean =>
    "code" in api
      ? api.code.test(bare)
      : imports.some((name) => name === api.module || name.startsWith(`${api.module}/`));
  return owned
    .filter((rule) => !rule.owners.some((owner) => isIn(owner, file)) && uses(rule))
    .map(({ what, owners, reason }) => `${file} uses ${what}, which belongs to ${owners.join(", ")}: ${reason}`);
}

/** The imports of a file, types included: static, for side effects, re-exported and dynamic. */
function importsOf(code: string): string[] {
  const statements = /\b(?:import|export)\b[^'"`;]*?\bfrom\s*["']([^"']+)["']|\bimport\s*\(?\s*["']([^"']+)["']/g;
  return [...code.matchAll(statements)].map((match) => match[1] ?? match[2] ?? "");
}

/** Removes the comments, or the contents of strings. Keeps the `${...}` of template strings. */
function blank(code: string, what: "comments" | "strings"): string {
  const tokens = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\[\s\S]|[^`\\])*`/g;
  return code.replace(tokens, (token) => {
    const isComment = token.startsWith("//") || token.startsWith("/*");
    if (what === "comments") return isComment ? " " : token;
    return token.startsWith("`") ? (token.match(/\$\{[^}]*\}/g) ?? []).join("") : '""';
  });
}
