import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { harmlessText } from "../../harmless-text.ts";

/** So much is shown at first; each further step is ten times as long. A browser is slow with megabytes in one element. */
const FIRST_CHARACTERS = 3_000;

export interface AgentTextProps {
  readonly text: string;
  /** As it stands, with its columns: code and output. */
  readonly isCode?: boolean;
  /** So many characters are shown at first. */
  readonly most?: number;
}

/** What an agent, a tool or a user has written: text and nothing else, apart from what is around it. Long ones are shown a piece at a time. */
export function AgentText({ text, isCode = false, most: first = FIRST_CHARACTERS }: AgentTextProps): VNode {
  const [most, setMost] = useState(first);
  const shown = harmlessText(text.slice(0, most));
  const left = text.length - most;
  return (
    <div class="agent-text">
      {isCode ? (
        <pre class="agent-text-code" dir="auto">
          {shown}
        </pre>
      ) : (
        <div class="agent-text-prose" dir="auto">
          {shown}
        </div>
      )}
      {left > 0 && (
        <button type="button" class="link-button" onClick={() => setMost(most * 10)}>
          Show more ({left.toLocaleString("en")} characters left)
        </button>
      )}
    </div>
  );
}
