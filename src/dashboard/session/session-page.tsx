import type { VNode } from "preact";
import type { Services } from "../query.ts";

/** One session. */
export function SessionPage({ sessionId }: { readonly services: Services; readonly sessionId: string }): VNode {
  return <h1>{sessionId}</h1>;
}
