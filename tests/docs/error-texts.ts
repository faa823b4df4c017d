import { readFileSync } from "node:fs";
import { join } from "node:path";

const THROWN = /(?:new UserError|\blog\.error|#log\.error)\(\s*(`(?:\\.|[^`\\])*`|"(?:\\.|[^"\\])*")/g;

/**
 * The longest part of each error text of the program that is always the same, with the file that it stands in. Faults in what was typed are
 * not among them (`usageError`): those say themselves what to type.
 */
export function errorTexts(root: string): { text: string; file: string }[] {
  const files = [...new Bun.Glob("src/**/*.ts").scanSync({ cwd: root })].sort();
  return files.flatMap((file) => {
    const code = readFileSync(join(root, file), "utf8");
    return [...code.matchAll(THROWN)].map(([, literal = ""]) => ({ text: longestPart(literal.slice(1, -1)), file }));
  });
}

function longestPart(template: string): string {
  const parts = splitTemplate(template).map((part) => part.replaceAll("\\n", "\n").replaceAll('\\"', '"').replace(/\s+/g, " ").trim());
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
