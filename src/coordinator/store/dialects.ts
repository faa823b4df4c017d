/** The statements that have a text of their own on each engine. All others are one text. */
export interface Dialect {
  /** The table `tree`: the session `?1` and its descendants, breadth first, at most `MAX_TREE_SESSIONS + 1`. */
  readonly tree: string;
}

/** Limits the work for one tree, so that an answer stays fast. */
export const MAX_TREE_SESSIONS = 10_000;

export const SQLITE: Dialect = {
  // Breadth first, so that the limit cuts off the deepest sessions.
  tree: `
  WITH RECURSIVE tree(session_id, depth) AS (
    SELECT CAST(?1 AS TEXT), 0
    UNION ALL
    SELECT s.session_id, tree.depth + 1
    FROM tree JOIN sessions AS s INDEXED BY sessions_by_parent ON s.parent_session_id = tree.session_id
    ORDER BY 2 LIMIT ${MAX_TREE_SESSIONS + 1}
  )`,
};

export const POSTGRES: Dialect = {
  // A recursion of PostgreSQL has no limit of its own. Ids compare byte by byte, as in the tables.
  tree: `
  WITH RECURSIVE below(session_id, depth) AS (
    SELECT CAST(?1 AS TEXT) COLLATE "C", 0
    UNION ALL
    SELECT s.session_id, below.depth + 1 FROM below JOIN sessions AS s ON s.parent_session_id = below.session_id
    WHERE below.depth <= ${MAX_TREE_SESSIONS}
  ), tree AS (SELECT * FROM below ORDER BY depth LIMIT ${MAX_TREE_SESSIONS + 1})`,
};
