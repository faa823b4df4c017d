import type { VNode } from "preact";
import { duration } from "../parts/figures.ts";
import { Status } from "../parts/status.tsx";
import { InlineText } from "../parts/inline-text.tsx";
import { linkTo } from "../route.ts";
import type { TreeSession } from "./session-data.ts";

const MAX_LISTED = 50;
const DONE: ReadonlySet<string> = new Set(["finished", "failed", "stopped", "idle"]);

/** The child sessions, newest first, with their status. */
export function Children({ tree }: { readonly tree: readonly TreeSession[] }): VNode | null {
  const children = tree.filter(({ depth }) => depth === 1).toReversed();
  if (children.length === 0) return null;
  const done = children.filter(({ status }) => DONE.has(status)).length;
  return (
    <section aria-labelledby="children">
      <h2 id="children">
        Children <span class="quiet">{`${done} of ${children.length} done`}</span>
      </h2>
      <ul class="children">
        {children.slice(0, MAX_LISTED).map(({ session_id, status, title, roll_up }) => (
          <li key={session_id}>
            <Status status={status} />
            <a href={linkTo({ view: "session", sessionId: session_id })}>
              <InlineText text={title ?? session_id} max={80} />
            </a>
            {roll_up.run_ms > 0 && <span class="quiet">{duration(roll_up.run_ms)}</span>}
          </li>
        ))}
      </ul>
      {children.length > MAX_LISTED && <p class="quiet">{children.length - MAX_LISTED} more are not shown.</p>}
    </section>
  );
}
