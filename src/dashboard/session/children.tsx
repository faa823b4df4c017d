import type { VNode } from "preact";
import { duration } from "../parts/figures.ts";
import { Status } from "../parts/status.tsx";
import { Words } from "../parts/words.tsx";
import { linkTo } from "../route.ts";
import type { TreeSession } from "./session-data.ts";

/** So many are listed; the others are in the list of sessions. */
const MOST = 50;
const DONE: ReadonlySet<string> = new Set(["finished", "failed", "stopped", "idle"]);

/** The sessions that this one has started, the newest first, and how far they are. */
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
        {children.slice(0, MOST).map(({ session_id, status, title, roll_up }) => (
          <li key={session_id}>
            <Status status={status} />
            <a href={linkTo({ view: "session", sessionId: session_id })}>
              <Words text={title ?? session_id} most={80} />
            </a>
            {roll_up.run_ms > 0 && <span class="quiet">{duration(roll_up.run_ms)}</span>}
          </li>
        ))}
      </ul>
      {children.length > MOST && <p class="quiet">{children.length - MOST} more are not shown.</p>}
    </section>
  );
}
