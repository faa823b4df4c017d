import type { TreeShape } from "../../protocol/session.ts";
import type { Store } from "../store/store.ts";

/** Deeper than any limit that makes sense; a loop in the parents, which nothing here makes, would not end without it. */
const DEEPEST = 10_000;

const SHAPE = `
  WITH RECURSIVE
    up(id, parent, depth) AS (
      SELECT session_id, parent_session_id, 0 FROM sessions WHERE session_id = ?1
      UNION ALL
      SELECT s.session_id, s.parent_session_id, up.depth + 1 FROM up JOIN sessions AS s ON s.session_id = up.parent WHERE up.depth < ${DEEPEST}
    ),
    tree(id) AS (
      SELECT id FROM up WHERE depth = (SELECT max(depth) FROM up)
      UNION
      SELECT s.session_id FROM tree CROSS JOIN sessions AS s ON s.parent_session_id = tree.id
    )
  SELECT
    (SELECT max(depth) FROM up) AS depth,
    (SELECT count(*) FROM sessions WHERE parent_session_id = ?1) AS children,
    (SELECT count(*) FROM tree CROSS JOIN runs ON runs.session_id = tree.id) AS runs`;

/** Where a session stands in its tree, and how large that is; the session exists. Costs what the tree is large, not the database. */
export function shapeOf(store: Store, sessionId: string): TreeShape {
  const shape = store.db.query<TreeShape, [string]>(SHAPE).get(sessionId);
  return { depth: shape?.depth ?? 0, children: shape?.children ?? 0, runs: shape?.runs ?? 0 };
}
