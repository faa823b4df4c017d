import type { VNode } from "preact";
import type { Services } from "../query.ts";

export function RunnersPage(_: { readonly services: Services }): VNode {
  return <h1>Runners</h1>;
}
