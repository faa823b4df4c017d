import type { VNode } from "preact";
import { useMemo, useState } from "preact/hooks";
import type * as v from "valibot";
import { TreeAnswer } from "../../protocol/answers.ts";
import { counted } from "./figures.ts";
import { type Services, useQuery } from "../query.ts";
import { TreeLine } from "./tree-line.tsx";

type Member = v.InferOutput<typeof TreeAnswer>["sessions"][number];

/** Children of one session that are shown at first. */
const FIRST_CHILDREN = 50;

/** The descendants of a session, as an outline that folds. */
export function Tree({
  services,
  sessionId,
  nowMs,
}: {
  readonly services: Services;
  readonly sessionId: string;
  readonly nowMs: number;
}): VNode {
  const { value, fault } = useQuery(services, `/trees/${encodeURIComponent(sessionId)}`, TreeAnswer);
  const children = useMemo(() => childrenOf(value?.sessions ?? []), [value]);
  if (value === null) return <p class="quiet">{fault === null ? "Loading…" : `Failed to load the tree: ${fault}`}</p>;
  return (
    <>
      <Children members={children.get(sessionId) ?? []} byParent={children} nowMs={nowMs} />
      {value.is_cut && <p class="quiet">Only the first 10,000 sessions are shown.</p>}
    </>
  );
}

interface ChildrenProps {
  readonly members: readonly Member[];
  readonly byParent: ReadonlyMap<string, readonly Member[]>;
  readonly nowMs: number;
}

function Children({ members, byParent, nowMs }: ChildrenProps): VNode | null {
  const [limit, setLimit] = useState(FIRST_CHILDREN);
  if (members.length === 0) return null;
  const left = members.length - limit;
  return (
    <ul class="tree">
      {members.slice(0, limit).map((member) => (
        <Branch key={member.session_id} member={member} byParent={byParent} nowMs={nowMs} />
      ))}
      {left > 0 && (
        <li>
          <button type="button" class="link-button" onClick={() => setLimit(limit * 4)}>
            Show more ({left.toLocaleString("en")} left)
          </button>
        </li>
      )}
    </ul>
  );
}

/** A session with its descendants. Unfolded at first if a session in it is running. */
function Branch({ member, byParent, nowMs }: { readonly member: Member } & Omit<ChildrenProps, "members">): VNode {
  const children = byParent.get(member.session_id) ?? [];
  const [choice, setChoice] = useState<boolean | null>(null);
  const isOpen = choice ?? (member.roll_up.by_status["running"] ?? 0) > 0;
  return (
    <li>
      <TreeLine session={member} nowMs={nowMs}>
        {children.length > 0 && (
          <button type="button" class="fold" aria-expanded={isOpen} onClick={() => setChoice(!isOpen)}>
            {counted(member.roll_up.sessions - 1, "descendant")}
          </button>
        )}
      </TreeLine>
      {isOpen && <Children members={children} byParent={byParent} nowMs={nowMs} />}
    </li>
  );
}

function childrenOf(members: readonly Member[]): ReadonlyMap<string, readonly Member[]> {
  const children = new Map<string, Member[]>();
  for (const member of members) {
    const parent = member.parent_session_id ?? "";
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [member]);
    else siblings.push(member);
  }
  return children;
}
