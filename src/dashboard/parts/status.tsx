import type { VNode } from "preact";

/** Each status has a sign besides its colour, for people who cannot distinguish colours. */
const STYLES: Readonly<Record<string, { readonly sign: string; readonly tone: string }>> = {
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

/** A status as a sign and a word. */
export function Status({ status, word = status }: { readonly status: string; readonly word?: string }): VNode {
  const { sign, tone } = STYLES[status] ?? { sign: "?", tone: "stopped" };
  return (
    <span class={`status status-${tone}`}>
      <span class="status-sign" aria-hidden="true">
        {sign}
      </span>
      {word}
    </span>
  );
}
