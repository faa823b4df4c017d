import type { VNode } from "preact";
import type { Services } from "../query.ts";

export function StatisticsPage(_: { readonly services: Services }): VNode {
  return <h1>Statistics</h1>;
}
