import type { ComponentChildren, VNode } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { wordsFor } from "../query.ts";

export interface DialogProps {
  readonly title: string;
  /** What its button says. */
  readonly confirm: string;
  readonly isDangerous?: boolean;
  /** What is to be done; while it is, and if it fails, the dialog stays. */
  readonly onConfirm: () => Promise<void>;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

/** Asks before something is done. The browser keeps the focus in it, and gives it back. */
export function Dialog({ title, confirm, isDangerous = false, onConfirm, onClose, children }: DialogProps): VNode {
  const box = useRef<HTMLDialogElement>(null);
  const heading = useId();
  const [isBusy, setIsBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  useLayoutEffect(() => {
    const dialog = box.current;
    const before = document.activeElement;
    dialog?.showModal();
    return () => {
      dialog?.close();
      // The browser would give the focus back, but not of a dialog that is taken away in the same moment.
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  const act = async (): Promise<void> => {
    setIsBusy(true);
    setFault(null);
    try {
      await onConfirm();
      onClose();
    } catch (error) {
      setFault(wordsFor(error));
      setIsBusy(false);
    }
  };
  return (
    <dialog ref={box} aria-labelledby={heading} onCancel={(event) => (event.preventDefault(), onClose())}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!isBusy) void act();
        }}
      >
        <h2 id={heading}>{title}</h2>
        <div class="dialog-body">{children}</div>
        {fault !== null && (
          <p role="alert" class="fault">
            {fault}
          </p>
        )}
        <div class="dialog-buttons">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class={isDangerous ? "danger" : "primary"} disabled={isBusy}>
            {isBusy ? "…" : confirm}
          </button>
        </div>
      </form>
    </dialog>
  );
}
