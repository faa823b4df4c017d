/* oxlint-disable no-control-regex -- the patterns match control characters */
// Terminal sequences: CSI; strings up to BEL or ST (OSC, DCS, SOS, PM, APC); the short ones.
// A C1 byte may stand for ESC and a letter.
const SEQUENCES = new RegExp(
  [
    /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]/,
    /(?:\u001b[\]PX^_]|[\u0090\u0098\u009d\u009e\u009f])[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)/,
    /\u001b[ -/]*[0-Zc-~]/,
  ]
    .map(({ source }) => source)
    .join("|"),
  "g",
);
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufff9-\ufffb]/g;

/**
 * Makes text from an agent safe to show. Removes terminal sequences, unifies line ends, and makes control characters
 * and direction overrides visible. The direction of the letters themselves is left to the HTML element to isolate.
 */
export function harmlessText(text: string): string {
  return text.replace(/\r\n?/g, "\n").replace(SEQUENCES, "").replace(CONTROLS, visible);
}

function visible(character: string): string {
  const code = character.charCodeAt(0);
  // Unicode has a picture for each C0 control character and for DEL.
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return "\u2421";
  return `[U+${code.toString(16).toUpperCase().padStart(4, "0")}]`;
}
