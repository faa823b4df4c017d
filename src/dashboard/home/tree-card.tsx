import type { ComponentChildren, VNode } from "preact";
import { useState } from "preact/hooks";
import { SessionActions } from "../actions/session-actions.tsx";
import type { ShownRun } from "../actions/retry.ts";
import { counted } from "../parts/figures.ts";
import { Tree as Outline } from "../parts/tree.tsx";
import { TreeLine } from "../parts/tree-line.tsx";
import type { Services } from "../query.ts";
import { below, isWaiting, openBelow, openIn, type Tree } from "./grouping.ts";

export interface TreeCardProps {
  readonly services: Services;
  readonly tree: Tree;
  readonly nowMs: number;
  readonly note?: string;
  readonly lastRun?: ShownRun | null;
  /** Without what can be done: that is on its own page. */
  readonly isBrief?: boolean;
  readonly children?: ComponentChildren;
}

/** A tree of sessions in the overview: its first session, the others when it is opened, and what can be done. */
export function TreeCard({
  services,
  tree,
  nowMs,
  note,
  lastRun = null,
  isBrief = false,
  children,
}: TreeCardProps): VNode {
  const [isOpen, setIsOpen] = useState(false);
  const many = below(tree);
  return (
    <li class="card" data-session={tree.session_id}>
      <TreeLine session={tree} nowMs={nowMs} isWaiting={isWaiting(tree)} {...(note === undefined ? {} : { note })}>
        {children}
        {(many > 0 || !isBrief) && (
          <div class="card-foot">
            {many > 0 && (
              <button type="button" class="fold" aria-expanded={isOpen} onClick={() => setIsOpen(!isOpen)}>
                {childrenWords(tree)}
              </button>
            )}
            {!isBrief && (
              <SessionActions
                services={services}
                sessionId={tree.session_id}
                open={openIn(tree)}
                below={many}
                lastRun={lastRun}
                canResume={tree.executor_session_id !== null}
              />
            )}
          </div>
        )}
      </TreeLine>
      {isOpen && <Outline services={services} sessionId={tree.session_id} nowMs={nowMs} />}
    </li>
  );
}

function childrenWords(tree: Tree): string {
  const open = openBelow(tree);
  const failed = (tree.roll_up.by_status["failed"] ?? 0) - (tree.status === "failed" ? 1 : 0);
  const parts = [
    counted(below(tree), "session") + " below",
    open > 0 ? `${open} at work` : "",
    failed > 0 ? `${failed} failed` : "",
  ];
  return parts.filter(Boolean).join(", ");
}
