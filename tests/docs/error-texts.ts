import { readFileSync } from "node:fs";
import { join } from "node:path";

const LITERAL = /(`(?:\\.|[^`\\])*`|"(?:\\.|[^"\\])*")/;
/** What the program says on stderr, in its log as a warning or an error, as an answer of its servers, and as the error of a run. */
const WAYS_TO_TELL = [
  /(?:new UserError|usageError|\.warn|\.error)\(/,
  /(?:Refusal\("[\w-]+"|detail\(\d+),/,
  /\binvalid\(\[[^\]]*\],/,
  /\berror:/,
];
const TOLD = new RegExp(`(?:${WAYS_TO_TELL.map(({ source }) => source).join("|")})\\s*${LITERAL.source}`, "g");

/** The longest part of each text of the program that tells of a fault which is always the same, with the file that it stands in. */
export function errorTexts(root: string): { text: string; file: string }[] {
  // In the log's own file `error` is a level.
  const files = [...new Bun.Glob("src/**/*.ts").scanSync({ cwd: root })].filter((file) => file !== "src/log.ts").sort();
  return files.flatMap((file) => {
    const code = readFileSync(join(root, file), "utf8");
    return [...code.matchAll(TOLD)].map(([, literal = ""]) => ({ text: longestPart(literal.slice(1, -1)), file }));
  });
}

function longestPart(template: string): string {
  const parts = splitTemplate(template).map((part) =>
    part.replaceAll("\\n", "\n").replaceAll('\\"', '"').replace(/\s+/g, " ").trim(),
  );
  return parts.toSorted((a, b) => b.length - a.length)[0] ?? "";
}

/** What stands between the `${...}`, which may hold strings with braces. */
function splitTemplate(template: string): string[] {
  const parts: string[] = [];
  let part = "";
  let depth = 0;
  for (let i = 0; i < template.length; i++) {
    const char = template[i] ?? "";
    if (depth === 0 && char === "$" && template[i + 1] === "{") {
      parts.push(part);
      part = "";
      depth = 1;
      i++;
    } else if (depth > 0) {
      if (char === "{") depth++;
      if (char === "}") depth--;
    } else part += char;
  }
  return [...parts, part];
}
