/** Far more than any client sends, and far less than what SQLite (1,000) and a Python client (about 1,000) take. */
const MAX_DEPTH = 256;
const BACKSLASH = 0x5c;
const QUOTE = 0x22;

/** JSON that is nested too deeply to be stored, or sent on. */
export class TooDeep extends Error {
  override readonly message = `is nested too deeply: ${MAX_DEPTH} levels are the limit`;
}

/**
 * The value of a JSON text from outside. Throws a SyntaxError, or `TooDeep`: `JSON.parse` takes any depth, but later
 * readers of the value call themselves for each level and overflow the stack.
 */
export function parseJson(text: string): unknown {
  if (isTooDeep(text)) throw new TooDeep();
  return JSON.parse(text);
}

function isTooDeep(text: string): boolean {
  if (text.length <= MAX_DEPTH) return false;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) i = endOfString(text, i);
    // [ and {, then ] and }: 0x20 is the only bit between the two of a kind.
    else if ((code | 0x20) === 0x7b) {
      if (++depth > MAX_DEPTH) return true;
    } else if ((code | 0x20) === 0x7d) depth--;
  }
  return false;
}

/** The index of the closing quote; the length of the text without one. */
function endOfString(text: string, start: number): number {
  for (let end = start; ;) {
    end = text.indexOf('"', end + 1);
    if (end === -1) return text.length;
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
}
