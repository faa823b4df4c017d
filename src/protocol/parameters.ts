/**
 * The prompt for an executor or an agent that knows only prompts: `parameters.prompt` if that is all there is, else every parameter
 * on a line of an `<inputs>` block, texts of several lines indented, other values as JSON (protocol, section 17).
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
