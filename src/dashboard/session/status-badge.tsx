import type { VNode } from "preact";

/** A run's or a session's status, told by its word and not by its colour alone. */
export function StatusBadge({ status }: { readonly status: string }): VNode {
  return <span class={`badge badge-${status}`}>{status}</span>;
}
