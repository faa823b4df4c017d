import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { harmlessText } from "../../harmless-text.ts";

/** Characters shown at first. "Show more" shows ten times as many. Megabytes in one element slow a browser down. */
const FIRST_CHARACTERS = 3_000;

export interface AgentTextProps {
  readonly text: string;
  /** Preserves columns, for code and output. */
  readonly isCode?: boolean;
  /** Characters shown at first. */
  readonly first?: number;
}

/** Untrusted text of an agent, a tool or a user, as text nodes only. Shows long text in steps. */
export function AgentText({ text, isCode = false, first = FIRST_CHARACTERS }: AgentTextProps): VNode {
  const [limit, setLimit] = useState(first);
  const shown = harmlessText(text.slice(0, limit));
  const left = text.length - limit;
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
        <button type="button" class="link-button" onClick={() => setLimit(limit * 10)}>
          Show more ({left.toLocaleString("en")} characters left)
        </button>
      )}
    </div>
  );
}
