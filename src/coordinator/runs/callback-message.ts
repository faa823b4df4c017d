/** The outcome of a child run in a callback. */
export interface ChildOutcome {
  readonly sessionId: string;
  readonly status: string;
  /** The result of a completed run or the error of a failed run; null if there is none. */
  readonly content: string | null;
}

/** Longer texts are cut, because they become part of a prompt. The child session keeps the whole text. */
const MAX_CONTENT_CHARACTERS = 50_000;

/**
 * The prompt that resumes a parent session, for one child or several. The enclosing element lets programs recognise the
 * prompt (`docs/protocol.md`, section 12).
 */
export function callbackMessage(outcomes: readonly ChildOutcome[]): string {
  const [only, second] = outcomes;
  if (only && !second) {
    const head = `<agent-callback session="${attribute(only.sessionId)}" status="${attribute(only.status)}">`;
    return `${head}\n${section(only)}\n\nGo on from here with your own task.\n</agent-callback>`;
  }
  const sections = outcomes.map(
    (outcome, index) =>
      `## ${index + 1} of ${outcomes.length}: session ${outcome.sessionId} (${outcome.status})\n\n${section(outcome)}`,
  );
  return (
    `<agent-callback type="aggregated" count="${outcomes.length}">\n` +
    `${outcomes.length} agent sessions that you started have ended.\n\n${sections.join("\n\n")}\n\n` +
    "Go on from here with your own task.\n</agent-callback>"
  );
}

function section({ sessionId, status, content }: ChildOutcome): string {
  const text = content === null || content === "" ? null : enclosed(content);
  const which = `The agent session ${sessionId} that you started`;
  if (status === "completed") {
    return text === null
      ? `${which} has completed, without a result text.`
      : `${which} has completed. Its result:\n\n${text}`;
  }
  if (status === "failed") {
    return text === null ? `${which} has failed, without saying why.` : `${which} has failed. The error:\n\n${text}`;
  }
  return `${which} was stopped before it had finished; there is no result.`;
}

/** Escapes the closing tag, so that a result cannot end its element, and limits the length. */
function enclosed(content: string): string {
  const cut =
    content.length > MAX_CONTENT_CHARACTERS
      ? `${content.slice(0, MAX_CONTENT_CHARACTERS)}\n\n` +
        `[cut after ${MAX_CONTENT_CHARACTERS} of ${content.length} characters; the session has the whole text]`
      : content;
  return cut.replaceAll("</agent-callback", "<\\/agent-callback");
}

function attribute(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
}
