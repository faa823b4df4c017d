import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Live } from "./live.ts";

/** The banner while the event stream is disconnected. */
export function Outage({ live }: { readonly live: Live }): VNode {
  const [isConnected, setIsConnected] = useState(true);
  useEffect(() => {
    const update = (): void => setIsConnected(live.isConnected);
    return live.onConnection(update);
  }, [live]);
  return (
    <div role="status" aria-live="polite">
      {!isConnected && (
        <p class="outage">
          <strong>Disconnected.</strong> The coordinator does not respond. This page may be out of date; it reconnects
          automatically.
        </p>
      )}
    </div>
  );
}
