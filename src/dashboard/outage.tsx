import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Live } from "./live.ts";

/** Says while the coordinator cannot be heard: what is shown is then as old as the silence. */
export function Outage({ live }: { readonly live: Live }): VNode {
  const [isConnected, setIsConnected] = useState(true);
  useEffect(() => {
    const look = (): void => setIsConnected(live.isConnected);
    return live.onConnection(look);
  }, [live]);
  return (
    <div role="status" aria-live="polite">
      {!isConnected && (
        <p class="outage">
          <strong>Disconnected.</strong> The coordinator does not answer; what you see may be out of date. The page goes
          on by itself when it is back.
        </p>
      )}
    </div>
  );
}
