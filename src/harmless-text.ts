/* oxlint-disable no-control-regex -- the patterns match control characters */
// Terminal sequences: CSI; strings up to BEL or ST (OSC, DCS, SOS, PM, APC); the short ones.
// A C1 byte may stand for ESC and a letter. A string contains no beginning of another: that keeps the time linear.
const SEQUENCES = new RegExp(
  [
    /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]/,
    /(?:\u001b[\]PX^_]|[\u0090\u0098\u009d\u009e\u009f])[^\u0007\u001b\u0080-\u009f]*(?:\u0007|\u001b\\|\u009c)/,
    /\u001b[ -/]*[0-Zc-~]/,
  ]
    .map(({ source }) => source)
    .join("|"),
  "g",
);
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufff9-\ufffb]/g;
/** As `CONTROLS`, and what some viewers take for a line end. */
const CONTROLS_OF_LINE = new RegExp(`${CONTROLS.source}|[\\u0085\\u2028\\u2029]`, "g");

/**
 * Makes text from an agent safe to show. Removes terminal sequences, unifies line ends, and makes control characters
 * and direction overrides visible. The direction of the letters themselves is left to the HTML element to isolate.
 */
export function harmlessText(text: string): string {
  return text.replace(/\r\n?/g, "\n").replace(SEQUENCES, "").replace(CONTROLS, visible);
}

/** One line of a log: line feeds become `\\n`, and what could control a terminal or forge a line becomes `?`. */
export function harmlessLine(text: string): string {
  return text.trimEnd().replace(/\r?\n/g, "\\n").replace(CONTROLS_OF_LINE, "?");
}

/** A JSON text with the same value. `JSON.stringify` leaves some control characters as they are. */
export function harmlessJson(json: string): string {
  return json.replace(CONTROLS_OF_LINE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function visible(character: string): string {
  const code = character.charCodeAt(0);
  // Unicode has a picture for each C0 control character and for DEL.
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return "\u2421";
  return `[U+${code.toString(16).toUpperCase().padStart(4, "0")}]`;
}
