import type { ComponentChildren, VNode } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { messageFor } from "../query.ts";

export interface DialogProps {
  readonly title: string;
  /** The label of the confirm button. */
  readonly confirm: string;
  readonly isDangerous?: boolean;
  /** The dialog closes when this resolves. If it rejects, the dialog shows the error and stays open. */
  readonly onConfirm: () => Promise<void>;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

/** A modal dialog with Cancel and a confirm button. */
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
      // The browser restores the focus itself, but not if the dialog is removed at the same time.
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
      setFault(messageFor(error));
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
