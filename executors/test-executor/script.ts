/** One directive of a prompt: a line `!name rest`. */
export interface Directive {
  readonly name: string;
  readonly rest: string;
}

/** A parsed prompt: its directives in order, and its other lines as the message. */
export interface Script {
  readonly directives: readonly Directive[];
  readonly message: string;
}

const DIRECTIVE = /^!([a-z][a-z-]*)(?:[ \t]+(.*))?$/;

export function parseScript(prompt: string): Script {
  const directives: Directive[] = [];
  const message: string[] = [];
  for (const line of prompt.split(/\r?\n/)) {
    const [, name, rest] = DIRECTIVE.exec(line.trim()) ?? [];
    if (name === undefined) message.push(line);
    else directives.push({ name, rest: rest ?? "" });
  }
  return { directives, message: message.join("\n").trim() };
}

const MS: Record<string, number> = { ms: 1, s: 1000, "": 1000, m: 60_000 };

/** `250ms`, `2s`, `1.5s`, `2m`, `2` (seconds), in ms. */
export function parseDuration(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|)$/.exec(text.trim()) ?? [];
  if (amount === undefined || unit === undefined)
    throw new Error(`${JSON.stringify(text)} is not a duration such as 250ms or 2s`);
  return Number(amount) * (MS[unit] ?? 1000);
}

const BYTES: Record<string, number> = { B: 1, "": 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 };

/** `100`, `64KB`, `10MB`, `1GB` (powers of 1024), in bytes. */
export function parseSize(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(B|KB|MB|GB|)$/i.exec(text.trim()) ?? [];
  if (amount === undefined || unit === undefined)
    throw new Error(`${JSON.stringify(text)} is not a size such as 64KB or 10MB`);
  return Math.round(Number(amount) * (BYTES[unit.toUpperCase()] ?? 1));
}
