import type { VNode } from "preact";
import type { Services } from "../query.ts";

export function SessionsPage(_: { readonly services: Services }): VNode {
  return <h1>Sessions</h1>;
}
