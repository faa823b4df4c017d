// Terminal sequences: CSI, then those that carry a string up to BEL or ST (OSC, DCS, SOS, PM, APC), then the short ones. A C1 byte may stand for ESC and a letter.
const SEQUENCES =
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|(?:\u001b[\]PX^_]|[\u0090\u0098\u009d\u009e\u009f])[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)|\u001b[ -/]*[0-Zc-~]/g;
// oxlint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufff9-\ufffb]/g;

/**
 * Text from an agent as it may be shown: without terminal sequences, with line ends of one kind, and with what would act on its reader's screen (control
 * characters, changes of direction) as something that can be seen. Direction that the letters themselves have is for the element to isolate.
 */
export function harmlessText(text: string): string {
  return text.replace(/\r\n?/g, "\n").replace(SEQUENCES, "").replace(CONTROLS, visible);
}

function visible(character: string): string {
  const code = character.charCodeAt(0);
  // Unicode has a picture for each of the first 32 control characters, and for DEL.
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return "\u2421";
  return `[U+${code.toString(16).toUpperCase().padStart(4, "0")}]`;
}
