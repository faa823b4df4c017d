import type { VNode } from "preact";
import { harmlessText } from "../../harmless-text.ts";

/** A short text that others have chosen, on one line, apart from what is around it. */
export function Words({ text, most = 200 }: { readonly text: string; readonly most?: number }): VNode {
  const shown = harmlessText(text.slice(0, most + 1)).replace(/\s+/g, " ");
  return <bdi>{text.length > most ? `${shown.slice(0, most)}…` : shown}</bdi>;
}
