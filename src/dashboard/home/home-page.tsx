import type { VNode } from "preact";
import type { Services } from "../query.ts";

export function HomePage(_: { readonly services: Services; readonly onStart: () => void }): VNode {
  return <h1>Overview</h1>;
}
