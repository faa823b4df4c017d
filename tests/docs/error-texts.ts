import { readFileSync } from "node:fs";
import { join } from "node:path";

const LITERAL = /(`(?:\\.|[^`\\])*`|"(?:\\.|[^"\\])*")/;
/**
 * The calls that show a fault: on stderr, in the log as a warning or error, as an answer of a server, and as a run's
 * error.
 */
const FAULT_CALLS = [
  /(?:new UserError|usageError|\.warn|\.error)\(/,
  /(?:Refusal\("[\w-]+"|detail\(\d+),/,
  /\binvalid\(\[[^\]]*\],/,
  /\berror:/,
];
const FAULT_TEXT = new RegExp(`(?:${FAULT_CALLS.map(({ source }) => source).join("|")})\\s*${LITERAL.source}`, "g");

/** For each fault text of the program: its longest part without placeholders, and its file. */
export function errorTexts(root: string): { text: string; file: string }[] {
  // In log.ts, `error` is a level.
  const files = [...new Bun.Glob("src/**/*.ts").scanSync({ cwd: root })].filter((file) => file !== "src/log.ts").sort();
  return files.flatMap((file) => {
    const code = readFileSync(join(root, file), "utf8");
    return [...code.matchAll(FAULT_TEXT)].map(([, literal = ""]) => ({
      text: longestPart(literal.slice(1, -1)),
      file,
    }));
  });
}

function longestPart(template: string): string {
  const parts = splitTemplate(template).map((part) =>
    part.replaceAll("\\n", "\n").replaceAll('\\"', '"').replace(/\s+/g, " ").trim(),
  );
  return parts.toSorted((a, b) => b.length - a.length)[0] ?? "";
}

/** Splits a template at its `${...}`, which may contain strings with braces. */
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
