import type { VNode } from "preact";

/** What a state looks like: never by its colour alone. */
const LOOKS: Readonly<Record<string, { readonly sign: string; readonly tone: string }>> = {
  pending: { sign: "◷", tone: "waiting" },
  claimed: { sign: "◷", tone: "waiting" },
  idle: { sign: "◌", tone: "waiting" },
  waiting: { sign: "◷", tone: "waiting" },
  running: { sign: "●", tone: "running" },
  online: { sign: "●", tone: "running" },
  stopping: { sign: "◼", tone: "stopped" },
  stopped: { sign: "◼", tone: "stopped" },
  stale: { sign: "!", tone: "failed" },
  completed: { sign: "✓", tone: "done" },
  finished: { sign: "✓", tone: "done" },
  failed: { sign: "✕", tone: "failed" },
};

/** A state as a sign and its word. */
export function Status({ status, word = status }: { readonly status: string; readonly word?: string }): VNode {
  const { sign, tone } = LOOKS[status] ?? { sign: "?", tone: "stopped" };
  return (
    <span class={`status status-${tone}`}>
      <span class="status-sign" aria-hidden="true">
        {sign}
      </span>
      {word}
    </span>
  );
}
