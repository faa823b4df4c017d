import type { VNode } from "preact";
import { useState } from "preact/hooks";

/** Copies a text to the clipboard. If the browser refuses, shows the text for copying by hand. */
export function Copy({ text, label }: { readonly text: string; readonly label: string }): VNode {
  const [state, setState] = useState<"ready" | "copied" | "refused">("ready");
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setState("copied");
      setTimeout(() => setState("ready"), 2_000);
    } catch {
      setState("refused");
    }
  };
  return (
    <>
      <button type="button" class="small" onClick={() => void copy()}>
        {state === "copied" ? "Copied" : label}
      </button>
      {state === "refused" && (
        <input
          class="to-copy"
          aria-label={label}
          readOnly
          value={text}
          onFocus={(event) => event.currentTarget.select()}
        />
      )}
    </>
  );
}
