/* oxlint-disable no-control-regex -- the patterns match control characters */
const PLAIN = /^[\w@%+=:,./\\-]+$/;
/** Control characters, line separators and direction overrides: they forge lines, or drive the terminal. */
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

/**
 * The word as a shell reads it back, in one line without control characters. A word with control characters becomes
 * `$'...'`, which bash, zsh and ksh know.
 */
export function shellWord(word: string): string {
  if (PLAIN.test(word)) return word;
  return HIDDEN.test(word) ? `$'${escaped(word)}'` : `'${word.replaceAll("'", "'\\''")}'`;
}

/** A path in a message: as it is, or as a shell word if it holds control characters. */
export function shownPath(path: string): string {
  return HIDDEN.test(path) ? shellWord(path) : path;
}

function escaped(word: string): string {
  return word.replace(/['\\]/g, "\\$&").replace(new RegExp(HIDDEN, "g"), bytesOf);
}

function bytesOf(character: string): string {
  return [...Buffer.from(character)].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
}
