export interface Submission {
  readonly prompt: string;
  readonly agent?: string;
  readonly projectDir?: string;
  readonly tags?: readonly string[];
  readonly session?: string;
}

/** The shell command that submits the same run. */
export function commandLine({ prompt, agent, projectDir, tags = [], session }: Submission): string {
  const option = (name: string, value: string | undefined): string[] =>
    value === undefined || value === "" ? [] : [`--${name}`, quoted(value)];
  const words = [
    ...option("session", session),
    ...option("agent", agent),
    ...option("project-dir", projectDir),
    ...tags.flatMap((tag) => option("tag", tag)),
  ];
  // A prompt may begin with a dash.
  return ["agent-runner", "submit", ...words, "--", quoted(prompt)].join(" ");
}

/** Quotes a text as one word for a POSIX shell. */
function quoted(text: string): string {
  return /^[\w./:@%+,=-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
