import type { VNode } from "preact";
import { harmlessText } from "../../harmless-text.ts";

/** Untrusted text on one line. Its writing direction does not affect its surroundings. */
export function InlineText({ text, max = 200 }: { readonly text: string; readonly max?: number }): VNode {
  const shown = harmlessText(text.slice(0, max + 1)).replace(/\s+/g, " ");
  return <bdi>{text.length > max ? `${shown.slice(0, max)}…` : shown}</bdi>;
}
