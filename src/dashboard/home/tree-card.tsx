import type { ComponentChildren, VNode } from "preact";
import { useState } from "preact/hooks";
import { SessionActions } from "../actions/session-actions.tsx";
import type { ShownRun } from "../actions/retry.ts";
import { counted } from "../parts/figures.ts";
import { Tree as Outline } from "../parts/tree.tsx";
import { TreeLine } from "../parts/tree-line.tsx";
import type { Services } from "../query.ts";
import { descendants, isWaiting, openDescendants, openIn, type Tree } from "./grouping.ts";

export interface TreeCardProps {
  readonly services: Services;
  readonly tree: Tree;
  readonly nowMs: number;
  readonly note?: string;
  readonly lastRun?: ShownRun | null;
  /** Without actions: those are on the session's page. */
  readonly isBrief?: boolean;
  readonly children?: ComponentChildren;
}

/** A tree in the overview: its root session, its actions, and its descendants when unfolded. */
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
  const count = descendants(tree);
  return (
    <li class="card" data-session={tree.session_id}>
      <TreeLine session={tree} nowMs={nowMs} isWaiting={isWaiting(tree)} {...(note === undefined ? {} : { note })}>
        {children}
        {(count > 0 || !isBrief) && (
          <div class="card-foot">
            {count > 0 && (
              <button type="button" class="fold" aria-expanded={isOpen} onClick={() => setIsOpen(!isOpen)}>
                {describeDescendants(tree)}
              </button>
            )}
            {!isBrief && (
              <SessionActions
                services={services}
                sessionId={tree.session_id}
                open={openIn(tree)}
                descendants={count}
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

function describeDescendants(tree: Tree): string {
  const open = openDescendants(tree);
  const failed = (tree.roll_up.by_status["failed"] ?? 0) - (tree.status === "failed" ? 1 : 0);
  const parts = [
    counted(descendants(tree), "descendant"),
    open > 0 ? `${open} active` : "",
    failed > 0 ? `${failed} failed` : "",
  ];
  return parts.filter(Boolean).join(", ");
}
