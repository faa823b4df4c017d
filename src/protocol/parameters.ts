/**
 * The prompt for an executor or an agent without parameters (`docs/protocol.md`, section 17). A lone
 * `parameters.prompt` is the prompt. Otherwise each parameter is a line of an `<inputs>` block: multi-line texts are
 * indented, other values are JSON.
 */
export function promptOfParameters(parameters: Readonly<Record<string, unknown>>): string {
  const names = Object.keys(parameters);
  const { prompt } = parameters;
  if (names.length === 0) return "";
  if (names.length === 1 && typeof prompt === "string") return prompt;
  const lines = names.map((name) => `${name}:${inputText(parameters[name])}`);
  return `<inputs>\n${lines.join("\n")}\n</inputs>`;
}

function inputText(value: unknown): string {
  if (typeof value !== "string") return ` ${JSON.stringify(value) ?? "null"}`;
  return value.includes("\n") ? `\n${value.replaceAll(/^/gm, "  ")}` : ` ${value}`;
}
