import type { TreeShape } from "../../protocol/session.ts";
import type { Store } from "../store/store.ts";

/** Deeper than any sensible limit. Stops at a cycle among the parents, which this coordinator never creates. */
const MAX_DEPTH = 10_000;

const SHAPE = `
  WITH RECURSIVE
    up(id, parent, depth) AS (
      SELECT session_id, parent_session_id, 0 FROM sessions WHERE session_id = ?1
      UNION ALL
      SELECT s.session_id, s.parent_session_id, up.depth + 1
      FROM up JOIN sessions AS s ON s.session_id = up.parent WHERE up.depth < ${MAX_DEPTH}
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

/** The place of an existing session in its tree, and the tree's size. Cost grows with the tree, not the database. */
export function shapeOf(store: Store, sessionId: string): TreeShape {
  const shape = store.db.query<TreeShape, [string]>(SHAPE).get(sessionId);
  return { depth: shape?.depth ?? 0, children: shape?.children ?? 0, runs: shape?.runs ?? 0 };
}
